package redlock

import (
	"context"
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
func (m *Manager) Lock(ctx context.Context, resource string, opts ...LockOption) (lock *Lock, err error) {
	o, err := m.enter(resource, opts)
	if err != nil {
		return nil, err
	}
	defer func() { m.tellTaken(ctx, o, lock, err) }()
	defer m.leave()
	o.wait, o.begun = true, time.Now()
	return m.lock(ctx, o)
}

// TryLock asks the nodes once, and never waits for a holder. It returns when
// the votes have decided; with [WithToken] when all nodes have answered, a node
// timeout at most. The errors are those of [Manager.Lock].
func (m *Manager) TryLock(ctx context.Context, resource string, opts ...LockOption) (lock *Lock, err error) {
	o, err := m.enter(resource, opts)
	if err != nil {
		return nil, err
	}
	defer func() { m.tellTaken(ctx, o, lock, err) }()
	defer m.leave()
	o.begun = time.Now()
	if err := ctx.Err(); err != nil {
		return nil, opError("lock", resource, err)
	}
	return m.tryOnce(ctx, o)
}

// tryOnce asks the nodes, whoever waits for them.
func (m *Manager) tryOnce(ctx context.Context, o *lockOptions) (*Lock, error) {
	lock, _, err := m.try(ctx, o)
	if err != nil {
		return nil, err
	}
	return lock, nil
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

// lock tries until it has the lock or has to give up. It queues behind the
// callers of this manager that came before.
func (m *Manager) lock(ctx context.Context, o *lockOptions) (*Lock, error) {
	if l := m.heldUnder(o.key, o.token); l != nil && l.Err() == nil { // it would wait for itself
		return nil, alreadyHeld("lock", o.resource)
	}
	w := m.queue(o.key)
	defer w.leave()
	o.waited = !w.first()
	tries, inTurn := 0, false
	var last *QuorumError // of the last try that was not cut short
	for ctx.Err() == nil && m.open.Err() == nil {
		if !inTurn {
			var err error
			tries, inTurn, err = w.await(ctx, o, tries, last)
			switch {
			case err != nil:
				return nil, err
			case !inTurn:
				w.leave() // it may become the head, and have to wait for its token
				return m.tryOnce(ctx, o)
			}
		}
		if o.token != "" && m.uses.lingers(o.key, o.token) {
			o.waited = true
			w.stepBack(ctx)
			inTurn = false
			continue
		}
		if o.attempts == 0 && m.holder(o.key) != nil {
			o.waited = true
			w.sleep(ctx, holderPoll)
			continue
		}
		tries++
		w.asking()
		begun := time.Now()
		lock, t, err := m.try(ctx, o)
		w.timed(time.Since(begun))
		if err == nil {
			return lock, nil
		}
		var quorum *QuorumError
		switch {
		case errors.Is(err, ErrAlreadyHeld), errors.Is(err, ErrClosed):
			return nil, err
		case !errors.As(err, &quorum), !decided(t):
			return nil, w.cutShort(ctx, o, last)
		}
		last = quorum
		if w.gaveUp(t.voted(), err) || tries == o.attempts {
			return nil, err
		}
		o.asksTTL, o.waited = true, true
		w.rest(ctx, lock.ballot, t, o.backoff(tries))
	}
	return nil, w.cutShort(ctx, o, last)
}

// backoff is the default pause: random between the two delays, so that
// contenders spread; growing by their mean from the fourth on, up to a limit.
func (m *Manager) backoff(attempt int) time.Duration {
	least, most := m.cfg.RetryDelayMin, m.cfg.RetryDelayMax
	growth := min(max(attempt-fastPauses, 0), growthLimit)
	return least + jitter(most-least) + time.Duration(growth)*(least+most)/2
}

// try asks the nodes once. Each try has a token of its own: with one for all,
// the late release of a failed try would delete the key of the next. A try that
// failed is returned for its votes.
func (m *Manager) try(ctx context.Context, o *lockOptions) (*Lock, tally, error) {
	l := newLock(m, o)
	if l.given {
		if err := m.uses.claim(ctx, l, o.wait); err != nil {
			return l, tally{}, err
		}
		defer m.uses.tried(l)
	}
	l.setTimes(o)
	l.putAcquire(o.asksTTL)
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
	}
	return l, t, err
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

// putAcquire sends the acquire to all nodes: as plain SET, but where a refusal
// is to tell the key's TTL, and through a user's client, which may send it twice.
func (l *Lock) putAcquire(asksTTL bool) {
	req := l.acquireRequest(asksTTL)
	forClients := req
	for i, n := range l.m.nodes {
		c := &l.ballot.commands[i]
		if c.req = req; n.cfg.client != nil {
			if forClients.script == noScript {
				forClients = l.acquireRequest(true)
			}
			c.req = forClients
		}
		n.submit(c)
	}
}

// acquireRequest is the script for a token that may have been used before, and
// where it is asked for.
func (l *Lock) acquireRequest(scripted bool) *request {
	var req request
	switch {
	case l.given:
		req = givenRequest(l.key, l.Token(), l.ttl)
	case scripted:
		req = replayableRequest(l.key, l.Token(), l.ttl)
	default:
		req = setRequest(l.key, l.Token(), l.ttl)
	}
	return &req
}
