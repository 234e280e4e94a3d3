package redlock

import (
	"context"
	"math"
	"sync"
	"time"
)

// Lock is a lock that was taken. It knows by itself, without asking the nodes,
// how long it can be trusted. It is safe for concurrent use; methods without a
// ctx do no I/O.
type Lock struct {
	m             *Manager
	resource, key string
	token         *string // a pointer, so that no way of printing a Lock follows it
	given         bool    // the caller chose the token
	ttl           time.Duration
	noExpiry      bool
	carry         any
	start         time.Time // of the winning attempt
	cap           time.Time // of WithMaxHold; zero: none
	persisting    bool      // a PERSIST may have been sent: its keys do not lapse
	renew         bool

	life context.Context // ends with the lock; its cause is Err
	stop context.CancelCauseFunc

	mu        sync.Mutex
	until     time.Time     // guarded by mu, as is all below
	lapse     time.Time     // when no node can have the key any more, unless it is persisting
	span      time.Duration // the longest TTL that a node was asked for
	timer     *time.Timer   // ends the lock at until
	renewal   *renewal      // nil: it is not renewed
	extending bool          // one Extend, ExtendBy or renewal at a time
	freed     chan struct{} // closed by the next leaveTurn; nil: nobody waits for that
	ballot    *ballot       // of the winning attempt: which nodes may have the key; nil from compact on
	granted   []bool        // by node: what compact has kept of it
	compacted time.Time     // when all its commands had been answered
	heals     []*command    // by node, the last one each; nil: none
	debts     []debt        // one per node, from the first release on
	unlocking *unlocking    // the Unlock that is asking
	released  bool          // a majority has deleted the key
}

func newLock(m *Manager, o *lockOptions) *Lock {
	l := &Lock{
		m: m, resource: o.resource, key: o.key,
		given: o.token != "", ttl: o.ttl, noExpiry: o.noExpiry, carry: o.carry,
		renew: o.renew,
	}
	token, enough := o.token, complete
	if !l.given {
		token, enough = m.freshToken(), decided
		if o.wait {
			enough = judged
		}
	}
	l.token = &token
	l.ballot = newBallot(len(m.nodes), enough)
	return l
}

// setTimes reads the clock, before anything is sent.
func (l *Lock) setTimes(o *lockOptions) {
	l.start = time.Now()
	l.trustFor(l.ttl, o.maxHold)
	l.lapse, l.span = l.start.Add(l.ttl+afterlife), l.ttl
}

// trustFor trusts a lock that nobody holds yet for what the nodes keep it from
// its start on, and for maxHold at most, if that is set.
func (l *Lock) trustFor(ttl, maxHold time.Duration) {
	l.until = trustedUntil(l.start, ttl, l.m.cfg.DriftFactor, l.m.cfg.Margin)
	if maxHold > 0 {
		l.cap = l.start.Add(maxHold)
		l.until = l.capped(l.until)
	}
}

func (l *Lock) capped(until time.Time) time.Time {
	if !l.cap.IsZero() && l.cap.Before(until) {
		return l.cap
	}
	return until
}

// Resource is the name that the lock was taken under.
func (l *Lock) Resource() string { return l.resource }

// Token is what the nodes store, and what proves the ownership.
func (l *Lock) Token() string { return *l.token }

// TTL is how long the nodes keep the lock after it was taken or extended; 0 if
// it does not expire. An Extend with another TTL does not change it.
func (l *Lock) TTL() time.Duration {
	if l.noExpiry {
		return 0
	}
	return l.ttl
}

// Until is the moment up to which the lock can be trusted: the start of the
// attempt plus TTL, less drift and [Config.Margin]. Zero if it does not expire.
func (l *Lock) Until() time.Time {
	if l.noExpiry {
		return time.Time{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// Remaining is what is left until Until, or of a lock that is over: 0. It is
// never negative, and of a lock without expiry the largest Duration.
func (l *Lock) Remaining() time.Duration {
	switch {
	case l.Err() != nil:
		return 0
	case l.noExpiry:
		return math.MaxInt64
	}
	return remaining(time.Now(), l.Until())
}

// Valid reports whether the lock can be trusted now. It turns false strictly
// before any node can give the resource to somebody else.
func (l *Lock) Valid() bool { return l.Err() == nil }

// Done is closed when the lock is over: at Until by a local timer at the
// latest, whatever the network does.
func (l *Lock) Done() <-chan struct{} { return l.life.Done() }

// Err is nil while the lock is valid; then ErrExpired, ErrLost or ErrReleased.
func (l *Lock) Err() error {
	if l.life.Err() == nil {
		l.mu.Lock()
		over := !l.noExpiry && !before(time.Now(), l.until)
		l.mu.Unlock()
		if !over {
			return nil
		}
		l.expire() // whoever finds it over ends it: Done is closed with it
	}
	return context.Cause(l.life)
}

// Context returns a context that ends when parent does, or when the lock is
// over, with its Err as the cause.
func (l *Lock) Context(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	forget := context.AfterFunc(l.life, func() { cancel(context.Cause(l.life)) })
	context.AfterFunc(ctx, func() { forget() }) // a long lock keeps no context that has ended
	return ctx
}

// Fence is the fencing token of the lock. It is 0 as long as [WithFence] is not
// available.
func (l *Lock) Fence() uint64 { return 0 }

// Carry is the value given by [WithCarry].
func (l *Lock) Carry() any { return l.carry }

// Extend is [Manager.Extend].
func (l *Lock) Extend(ctx context.Context, ttl time.Duration) error { return l.m.Extend(ctx, l, ttl) }

// Unlock is [Manager.Unlock].
func (l *Lock) Unlock(ctx context.Context) error { return l.m.Unlock(ctx, l) }

// activate starts the life of a lock that was won.
func (l *Lock) activate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life, l.stop = context.WithCancelCause(context.Background())
	if !l.noExpiry {
		l.timer = time.AfterFunc(time.Until(l.until), l.expire)
	}
	if l.renew || l.noExpiry { // which is confirmed
		l.m.renewals.add(l)
	}
}

// expire ends the lock if its time is over by either clock. The timer is late
// for a lock that has been extended meanwhile: it is set anew.
func (l *Lock) expire() {
	l.mu.Lock()
	if now := time.Now(); before(now, l.until) {
		l.timer.Reset(remaining(now, l.until))
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.lose(ErrExpired)
}

// lose ends the lock for a reason that its holder did not choose, and takes
// back what still stands of it. It counts as a call from before the end on, so
// that Close waits for the release; where Close has begun, it makes it itself.
// A handler of logs, or a hook, may take its time: nothing here waits for it.
func (l *Lock) lose(cause error) {
	counted := l.m.begin() == nil
	ended := l.end(cause)
	switch {
	case counted && ended:
		l.m.detached(func() { l.abandon(); l.tellEnd(cause, true) })
	case counted:
		l.m.leave()
	case ended:
		l.tellEnd(cause, false)
	}
}

// end marks the lock as over. The first cause wins; end reports whether this
// one did. Whoever ends a lock releases it.
func (l *Lock) end(cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life.Err() != nil {
		return false
	}
	l.stop(cause)
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.renewal != nil {
		l.m.renewals.remove(l.renewal)
	}
	return true
}
