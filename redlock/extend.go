package redlock

import (
	"context"
	"errors"
	"time"
)

// Extend makes the nodes keep lock for ttl from now; 0 is the lock's own TTL. It
// never shortens: less than what is left confirms the lock and changes nothing.
// An Extend beyond [WithMaxHold] is cut short.
//
// A lock that is over is refused without I/O, with [ErrExpired], [ErrLost] or
// [ErrReleased]; one without expiry with [ErrNoExpiry]. If a majority says that
// the lock is not ours, it is over with [ErrLost]; after [ErrNoQuorum] it stays
// valid until its old end.
func (m *Manager) Extend(ctx context.Context, lock *Lock, ttl time.Duration) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.leave()
	switch err := m.owns(lock); {
	case err != nil:
		return err
	case ttl < 0:
		return configErrorf("ttl", "%v is negative; it must be positive, or zero for the lock's own TTL", ttl)
	case lock.noExpiry:
		return m.alsoEnded(ctx, ErrNoExpiry)
	}
	if ttl == 0 {
		ttl = lock.ttl
	}
	ttl, err := m.usableTTL(ttl)
	if err != nil {
		return err
	}
	return m.alsoEnded(ctx, lock.extend(ctx, func() time.Duration { return ttl }))
}

// ExtendBy adds d to what is left of the lock; d must be positive. Its errors are
// those of [Manager.Extend].
func (l *Lock) ExtendBy(ctx context.Context, d time.Duration) error {
	if err := l.m.begin(); err != nil {
		return err
	}
	defer l.m.leave()
	switch {
	case d <= 0:
		return configErrorf("d", "%v is not positive; Extend with what is to be left instead", d)
	case l.noExpiry:
		return l.m.alsoEnded(ctx, ErrNoExpiry)
	case d > maxTTL-min(l.Remaining(), maxTTL):
		return configErrorf("d", "%v is too long; at most %v may be left of a lock", d, maxTTL)
	}
	return l.m.alsoEnded(ctx, l.extend(ctx, func() time.Duration {
		return ttlFor(l.Remaining()+d, l.m.cfg.DriftFactor, l.m.cfg.Margin)
	}))
}

// extend asks the nodes to keep the key for what ttl says when its turn comes.
// One runs at a time: a shorter one must not be counted after a longer one.
func (l *Lock) extend(ctx context.Context, ttl func() time.Duration) error {
	select {
	case l.extending <- struct{}{}:
		defer func() { <-l.extending }()
	case <-l.Done():
	case <-ctx.Done():
	}
	if err := l.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return l.m.ended("extend", l.resource, err)
	}
	m, start, asked := l.m, time.Now(), ttl()
	old := l.Until()
	if !l.keepUntil(start.Add(asked + afterlife)) {
		return l.Err()
	}
	req := extendRequest(l.key, l.Token(), asked)
	b, t := m.ask(ctx, &req, decided, min(m.nodeTimeout(asked), remaining(start, old)))
	switch t.verdict() {
	case won:
		return l.prolong(trustedUntil(start, asked, m.cfg.DriftFactor, m.cfg.Margin))
	case beaten:
		return l.notOurs(ctx, "extend", b, t)
	}
	return m.verdictError(ctx, "extend", l.resource, ErrNoQuorum, b, t)
}

// prolong trusts the lock until then, unless it is over: a majority that answered
// too late revives nothing.
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

// IsHeld reports whether a majority of the nodes confirms that the lock is still
// this one. Of a lock that is over it is false with the lock's Err, without I/O.
// If a majority says that it is not ours, it is over: false and [ErrLost].
func (l *Lock) IsHeld(ctx context.Context) (bool, error) {
	m := l.m
	if err := m.begin(); err != nil {
		return false, err
	}
	defer m.leave()
	if err := l.Err(); err != nil {
		return false, m.alsoEnded(ctx, err)
	}
	if err := ctx.Err(); err != nil {
		return false, m.ended("is held", l.resource, err)
	}
	req := extendRequest(l.key, l.Token(), 0)
	b, t := m.ask(ctx, &req, decided, m.nodeTimeout(l.ttl))
	switch t.verdict() {
	case won:
		err := l.Err()
		return err == nil, m.alsoEnded(ctx, err)
	case beaten:
		return false, m.alsoEnded(ctx, l.notOurs(ctx, "is held", b, t))
	}
	return false, m.verdictError(ctx, "is held", l.resource, ErrNoQuorum, b, t)
}

// IsLocked reports whether a majority of the nodes has resource locked, for
// whomever. Where missing answers could change that, it returns [ErrNoQuorum].
func (m *Manager) IsLocked(ctx context.Context, resource string) (bool, error) {
	if err := m.begin(); err != nil {
		return false, err
	}
	defer m.leave()
	key, err := m.key(resource)
	if err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, m.ended("is locked", resource, err)
	}
	req := existsRequest(key)
	b, t := m.ask(ctx, &req, decided, m.nodeTimeout(m.cfg.TTL))
	switch t.verdict() {
	case won:
		return true, nil
	case beaten:
		return false, nil
	}
	return false, m.verdictError(ctx, "is locked", resource, ErrNoQuorum, b, t)
}
