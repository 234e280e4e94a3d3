package redlock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"
)

const (
	// patience is how long Lock goes on, at the least, when it finds no quorum,
	// and barrenTries how many tries in a row have to find none.
	patience    = time.Second
	barrenTries = 3

	// fastPauses come before the pauses grow; growthLimit caps that growth, in
	// mean pauses.
	fastPauses  = 3
	growthLimit = 5
)

// Lock takes resource, waiting for its holder. It waits until ctx ends, until
// [Config.Attempts] or [WithAttempts] are used up, or until the last three
// tries found fewer than a majority of nodes voting and a second has passed.
// ctx bounds the call, never the lock.
//
// Its error matches [ErrTaken] or [ErrNoQuorum], and the context's error where
// that had ended; [ErrAlreadyHeld] if the lock is held under the token that was
// given; [ErrClosed]; or it is a *ConfigError.
func (m *Manager) Lock(ctx context.Context, resource string, opts ...LockOption) (*Lock, error) {
	o, err := m.enter(resource, opts)
	if err != nil {
		return nil, err
	}
	defer m.leave()
	o.wait = true
	return m.lock(ctx, o)
}

// TryLock asks the nodes once, and never waits for a holder. It returns when
// the votes have decided; with [WithToken] when all nodes have answered, a node
// timeout at most. The errors are those of [Manager.Lock].
func (m *Manager) TryLock(ctx context.Context, resource string, opts ...LockOption) (*Lock, error) {
	o, err := m.enter(resource, opts)
	if err != nil {
		return nil, err
	}
	defer m.leave()
	if err := ctx.Err(); err != nil {
		return nil, notAsked("lock", resource, err)
	}
	lock, _, err := m.try(ctx, o)
	return lock, err
}

// enter checks a call's arguments and counts the call in.
func (m *Manager) enter(resource string, opts []LockOption) (*lockOptions, error) {
	if err := m.begin(); err != nil {
		return nil, err
	}
	o, err := m.lockOptions(resource, opts)
	if err != nil {
		m.leave()
		return nil, err
	}
	return o, nil
}

// lock tries until it has the lock or has to give up.
func (m *Manager) lock(ctx context.Context, o *lockOptions) (*Lock, error) {
	var (
		begun  = time.Now()
		barren int   // tries in a row that found no quorum
		last   error // of the last try that was not cut short
	)
	for tries := 1; ctx.Err() == nil && m.open.Err() == nil; tries++ {
		lock, t, err := m.try(ctx, o)
		var quorum *QuorumError
		switch {
		case err == nil, errors.Is(err, ErrAlreadyHeld), errors.Is(err, ErrClosed):
			return lock, err
		case !errors.As(err, &quorum), !decided(t):
			return nil, m.cutShort(ctx, o.resource, last)
		}
		last = err
		if barren++; t.voted() {
			barren = 0
		}
		if barren >= barrenTries && time.Since(begun) >= patience || tries == o.attempts {
			return nil, err
		}
		pause(o.backoff(tries), ctx.Done(), m.open.Done())
	}
	return nil, m.cutShort(ctx, o.resource, last)
}

// cutShort is the error of a Lock whose ctx has ended: that of the last whole
// try, if there was one, and the context's.
func (m *Manager) cutShort(ctx context.Context, resource string, last error) error {
	var quorum *QuorumError
	switch {
	case m.open.Err() != nil:
		return ErrClosed
	case !errors.As(last, &quorum):
		return notAsked("lock", resource, ctx.Err())
	}
	both := *quorum
	both.ended = ctx.Err()
	return &both
}

// backoff is the default pause: random between the two delays, so that
// contenders spread; growing by their mean from the fourth on, up to a limit.
func (m *Manager) backoff(attempt int) time.Duration {
	least, most := m.cfg.RetryDelayMin, m.cfg.RetryDelayMax
	growth := min(max(attempt-fastPauses, 0), growthLimit)
	return least + jitter(most-least) + time.Duration(growth)*(least+most)/2
}

// try asks the nodes once. Each try has a token of its own: with one for all,
// the late release of a failed try would delete the key of the next.
func (m *Manager) try(ctx context.Context, o *lockOptions) (*Lock, tally, error) {
	l := newLock(m, o)
	if l.given {
		if err := m.uses.claim(ctx, l, o.wait); err != nil {
			return nil, tally{}, err
		}
		defer m.uses.tried(l)
	}
	l.setTimes(o)
	l.putAcquire()
	t := l.ballot.wait(ctx, m.open, min(m.nodeTimeout(o.ttl), time.Until(l.until)))
	err := l.judge(ctx, t)
	if err == nil && l.noExpiry {
		t, err = l.persist(ctx)
	}
	if err == nil {
		err = m.hold(l)
	}
	if err != nil {
		l.abandon()
		return nil, t, err
	}
	return l, t, nil
}

// judge makes the error of a try from its votes; nil if it was won in time.
func (l *Lock) judge(ctx context.Context, t tally) error {
	verdict := ErrNoQuorum
	switch v := t.verdict(); {
	case v == won && before(time.Now(), l.until):
		return nil
	case t.own >= majority(t.total):
		verdict = ErrAlreadyHeld
	case v == beaten:
		verdict = ErrTaken
	}
	return l.m.verdictError(ctx, "lock", l.resource, verdict, l.ballot, t)
}

// putAcquire sends the acquire to all nodes: as plain SET, but for a token that
// may have been used before.
func (l *Lock) putAcquire() {
	var plain, replayable request
	if l.given {
		plain = givenRequest(l.key, l.Token(), l.ttl)
		replayable = plain
	} else {
		plain = setRequest(l.key, l.Token(), l.ttl)
	}
	for i, n := range l.m.nodes {
		c := &l.ballot.commands[i]
		if c.req = &plain; n.cfg.client != nil {
			if replayable.body == nil {
				replayable = replayableRequest(l.key, l.Token(), l.ttl)
			}
			c.req = &replayable
		}
		n.submit(c)
	}
}

// freshToken is 128 random bits and the owner's label. The random part has a
// fixed length, by which the label is found.
func (m *Manager) freshToken() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails: the program ends first
	return hex.EncodeToString(random[:]) + m.label
}
