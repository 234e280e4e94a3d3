package redlock

import (
	"context"
	"sync"
	"time"
)

// Hooks are functions that a manager calls when something has happened, for
// metrics and traces. Those that are nil are not called. No hook is called with
// a mutex held: it may use the manager and its locks, but for Close in the second
// half of them.
//
// Each lock that was Acquired ends as one of the two, once: Released or Lost.
// Arguments that are refused are not reported, nor are calls of a manager that
// is closed.
type Hooks struct {
	// These are called by the goroutine of a call, as it returns. One that blocks
	// holds up this call and nothing else. One that panics panics in the caller; a
	// lock that the call has taken is given back then.

	Acquired func(LockEvent) // Lock, TryLock, Do or Resume has the lock
	Refused  func(LockEvent) // one of them has not; Err says why
	Waited   func(LockEvent) // before these, of a Lock or Do that was not served at its first question
	Extended func(LockEvent) // Extend or ExtendBy returns, with Err
	Released func(LockEvent) // Unlock, or the end of Do, has given the lock back, with Err; or Close, as below

	// These are called one after the other by a goroutine for all of them. One that
	// blocks holds up those behind it and nothing else: neither locks nor nodes wait
	// for it; renewals are not reported while 1,000 events wait. Close waits for it
	// while its ctx lasts. One that panics ends the process.

	Renewed  func(LockEvent) // an automatic renewal was decided; with Err it is repeated soon
	Lost     func(LockEvent) // a lock is over that was not given back; Err matches ErrExpired or ErrLost
	NodeUp   func(NodeEvent) // a node votes
	NodeDown func(NodeEvent) // it cannot be reached, or may not vote; Err says why
}

// LockEvent is what a hook is told of a lock, or of a call for one.
type LockEvent struct {
	Context  context.Context // the ctx of the call; without one context.Background()
	Resource string
	Carry    any           // see WithCarry
	Duration time.Duration // of the call; of a renewal, from the question to the verdict; else 0
	Held     time.Duration // how long ago the lock was acquired
	Err      error
}

// NodeEvent is what a hook is told of a node.
type NodeEvent struct {
	Node     string        // its name, as in errors and in the log
	Duration time.Duration // for how long it had voted, or had not; 0 the first time
	Err      error
}

// WithHooks has the manager call hooks.
func WithHooks(hooks Hooks) Option {
	return optionFunc(func(m *Manager) error {
		m.hooks = &hooks
		return nil
	})
}

// maxEvents is how many events wait for the hooks before renewals are dropped.
const maxEvents = 1000

// events are those that no call reports. A goroutine calls the hooks for them,
// in their order, and ends when there are none.
type events struct {
	mu      sync.Mutex
	waiting []func() // guarded by mu, as is all below
	running bool
}

// add queues an event, and reports whether run has to be called.
func (e *events) add(event func(), droppable bool) (start bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if droppable && len(e.waiting) >= maxEvents {
		return false
	}
	e.waiting = append(e.waiting, event)
	start = !e.running
	e.running = true
	return start
}

// run calls the hooks until nothing waits. One goroutine does so at a time.
func (e *events) run() {
	for {
		e.mu.Lock()
		if len(e.waiting) == 0 {
			e.running = false
			e.mu.Unlock()
			return
		}
		event := e.waiting[0]
		e.waiting[0] = nil
		e.waiting = e.waiting[1:]
		e.mu.Unlock()
		event()
	}
}

// later has event called. The caller is a task, or a call that is counted: Close
// waits for this as it does for them.
func (m *Manager) later(event func(), droppable bool) {
	if m.events.add(event, droppable) {
		m.tasks.Go(func() error { m.events.run(); return nil })
	}
}

// tellTaken reports a call that has taken l, or has failed. The call is counted
// out: a hook may close the manager.
func (m *Manager) tellTaken(ctx context.Context, o *lockOptions, l *Lock, err error) {
	if m.hooks == nil || o.begun.IsZero() || l == nil && err == nil { // a function of the caller's panics
		return
	}
	told := err != nil
	defer func() {
		if !told { // a hook panics, and nobody gets the lock
			l.giveBack()
		}
	}()
	e := LockEvent{Context: ctx, Resource: o.resource, Carry: o.carry, Duration: time.Since(o.begun), Err: err}
	if o.waited {
		e.tell(m.hooks.Waited)
	}
	if err != nil {
		e.tell(m.hooks.Refused)
	} else {
		e.tell(m.hooks.Acquired)
	}
	told = true
}

func (e LockEvent) tell(hook func(LockEvent)) {
	if hook != nil {
		hook(e)
	}
}

// giveBack ends a lock that was taken for a caller who does not get it. Where
// Close has begun, it does so itself.
func (l *Lock) giveBack() {
	if l.m.begin() != nil {
		return
	}
	defer l.m.leave()
	if l.end(ErrReleased) {
		l.abandon()
		l.tellClosed()
	}
}

// event is what the hooks are told about a lock that was acquired. begun is zero
// where no call has brought it about.
func (l *Lock) event(ctx context.Context, begun time.Time, err error) LockEvent {
	now := time.Now()
	e := LockEvent{Context: ctx, Resource: l.resource, Carry: l.carry, Held: now.Sub(l.start), Err: err}
	if !begun.IsZero() {
		e.Duration = now.Sub(begun)
	}
	return e
}

// tellExtended reports an Extend; begun is zero if it has asked for nothing.
func (l *Lock) tellExtended(ctx context.Context, begun time.Time, err error) {
	if !begun.IsZero() && l.m.hooks != nil {
		l.event(ctx, begun, err).tell(l.m.hooks.Extended)
	}
}

// tellReleased reports the Unlock that has ended the lock.
func (l *Lock) tellReleased(ctx context.Context, begun time.Time, err error) {
	if l.m.hooks != nil {
		l.event(ctx, begun, err).tell(l.m.hooks.Released)
	}
}

// tellClosed reports a lock that was given back without a call of its holder's.
func (l *Lock) tellClosed() {
	if h := l.m.hooks; h != nil && h.Released != nil {
		e := l.event(context.Background(), time.Time{}, nil)
		l.m.later(func() { h.Released(e) }, false)
	}
}

// tell reports a renewal that was decided, unless the lock is over: that is
// reported by itself.
func (x *renewal) tell(b *ballot, t tally) {
	l := x.lock
	h := l.m.hooks
	if h == nil || h.Renewed == nil || l.Err() != nil {
		return
	}
	var err error
	if t.verdict() != won {
		err = l.m.verdictError(context.Background(), "renew", l.resource, ErrNoQuorum, b, t)
	}
	e := l.event(context.Background(), x.start, err)
	l.m.later(func() { h.Renewed(e) }, true)
}

// tellEnd logs the end of a lock that was not given back, and reports it. Where
// it is not counted, Close may be past waiting for another goroutine: this one
// calls the hooks then.
func (l *Lock) tellEnd(cause error, counted bool) {
	l.m.log.Warn("redlock: lock is over", "resource", l.resource, "carry", l.carry, "error", cause)
	h := l.m.hooks
	if h == nil || h.Lost == nil {
		return
	}
	e := l.event(context.Background(), time.Time{}, cause)
	tell := func() { h.Lost(e) }
	if counted {
		l.m.later(tell, false)
	} else if l.m.events.add(tell, false) {
		l.m.events.run()
	}
}

// report has the hooks told that the node votes, or that it does not, and why:
// each change once.
func (n *node) report(votes bool, err error) {
	h, first := n.m.hooks, n.reported.IsZero()
	if h == nil || !first && votes == n.votes {
		return
	}
	e := NodeEvent{Node: n.name, Err: err}
	now := time.Now()
	if !first {
		e.Duration = now.Sub(n.reported)
	}
	n.votes, n.reported = votes, now
	hook := h.NodeUp
	if !votes {
		hook = h.NodeDown
	}
	if hook != nil {
		n.m.later(func() { hook(e) }, false)
	}
}
