package redlock

import (
	"context"
	"errors"
	"time"
)

// Extend makes the nodes keep lock for ttl from now; 0 is the lock's own TTL.
// It never shortens: less than what is left confirms the lock and changes
// nothing. An Extend beyond [WithMaxHold] is cut short.
//
// A lock that is over is refused without I/O, with [ErrExpired], [ErrLost] or
// [ErrReleased]; one without expiry with [ErrNoExpiry]; a bad ttl, or a lock of
// another manager, with a *ConfigError. If a majority says that the lock is not
// ours, it is over with [ErrLost]. After [ErrNoQuorum], [ErrClosed] and the
// error of ctx it stays valid until its old end.
func (m *Manager) Extend(ctx context.Context, lock *Lock, ttl time.Duration) (err error) {
	if err := m.begin(); err != nil {
		return err
	}
	var begun time.Time
	defer func() { lock.tellExtended(ctx, begun, err) }()
	defer m.leave()
	switch err := m.checkLock(lock); {
	case err != nil:
		return err
	case ttl < 0:
		return configErrorf("ttl", "expected 0 (the lock's own TTL) or more, got %v", ttl)
	case lock.noExpiry:
		return lock.endedIn(ctx, "extend", ErrNoExpiry)
	}
	if ttl == 0 {
		ttl = lock.ttl
	}
	if ttl, err = m.usableTTL(ttl); err != nil {
		return err
	}
	begun = time.Now()
	return lock.endedIn(ctx, "extend", lock.extend(ctx, func(time.Time) time.Duration { return ttl }))
}

// ExtendBy adds d to what is left of the lock; d must be positive. Its errors
// are those of [Manager.Extend].
func (l *Lock) ExtendBy(ctx context.Context, d time.Duration) (err error) {
	if err := l.m.begin(); err != nil {
		return err
	}
	var begun time.Time
	defer func() { l.tellExtended(ctx, begun, err) }()
	defer l.m.leave()
	switch {
	case d <= 0:
		return configErrorf("d", "expected more than 0 (Extend sets what is to be left), got %v", d)
	case l.noExpiry:
		return l.endedIn(ctx, "extend", ErrNoExpiry)
	case d > maxTTL-min(l.Remaining(), maxTTL):
		return configErrorf("d", "expected what leaves %v of a lock at most, got %v", maxTTL, d)
	}
	begun = time.Now()
	return l.endedIn(ctx, "extend", l.extend(ctx, func(start time.Time) time.Duration {
		return ttlFor(remaining(start, l.Until())+d, l.m.cfg.DriftFactor, l.m.cfg.Margin)
	}))
}

// extend asks the nodes to keep the key for what ttl says when its turn comes.
// One runs at a time: a shorter one must not be counted after a longer one.
func (l *Lock) extend(ctx context.Context, ttl func(start time.Time) time.Duration) error {
	if l.takeTurn(ctx) {
		defer l.leaveTurn()
	}
	if err := l.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return opError("extend", l.resource, err)
	}
	m, start := l.m, time.Now()
	asked := ttl(start)
	old := l.Until()
	if !l.keepFor(start, asked) {
		return l.Err()
	}
	req := extendRequest(l.key, l.Token(), asked)
	b, t := m.ask(ctx, &req, decided, min(m.nodeTimeout(asked), remaining(start, old)))
	switch t.verdict() {
	case won:
		err := l.prolong(trustedUntil(start, asked, m.cfg.DriftFactor, m.cfg.Margin))
		l.healFrom(b, start, asked)
		return err
	case beaten:
		return l.notOurs(ctx, "extend", b, t)
	}
	return m.verdictError(ctx, "extend", l.resource, ErrNoQuorum, b, t)
}

// takeTurn waits until no other extends the lock. It is false where the lock or
// ctx ended first.
func (l *Lock) takeTurn(ctx context.Context) bool {
	for !l.tryTurn() {
		l.mu.Lock()
		if l.freed == nil {
			l.freed = make(chan struct{})
		}
		freed, busy := l.freed, l.extending
		l.mu.Unlock()
		if !busy {
			continue
		}
		select {
		case <-freed:
		case <-l.Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (l *Lock) tryTurn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.extending {
		return false
	}
	l.extending = true
	return true
}

func (l *Lock) leaveTurn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.extending = false
	if l.freed != nil {
		close(l.freed)
		l.freed = nil
	}
}

// keepFor notes that a node may keep the key for ttl from start, unless the
// lock is over: what is still owed for it counts on the TTL that it had then.
func (l *Lock) keepFor(start time.Time, ttl time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life.Err() != nil {
		return false
	}
	if t := start.Add(ttl + afterlife); t.After(l.lapse) {
		l.lapse = t
	}
	l.span = max(l.span, ttl)
	return true
}

// prolong trusts the lock until then, unless it is over: a majority that
// answered too late revives nothing.
func (l *Lock) prolong(until time.Time) error {
	if err := l.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	now := time.Now()
	if l.life.Err() == nil && before(now, l.until) {
		if until = l.capped(until); until.After(l.until) {
			l.until = until
			l.timer.Reset(remaining(now, until))
		}
	}
	l.mu.Unlock()
	return l.Err()
}

// notOurs ends the lock because a majority says that it is not ours. Of a lock
// that was over meanwhile the votes prove nothing: its own release may have
// brought them about. Its Err says why it is over.
func (l *Lock) notOurs(ctx context.Context, op string, b *ballot, t tally) error {
	l.lose(ErrLost)
	if err := l.Err(); !errors.Is(err, ErrLost) && l.m.open.Err() == nil {
		return err
	}
	return l.m.verdictError(ctx, op, l.resource, ErrLost, b, t)
}
