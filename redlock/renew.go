package redlock

import (
	"container/heap"
	"sync"
	"time"
)

const (
	// confirmEvery is how often a lock is confirmed at the least, also where it has
	// been extended far ahead.
	confirmEvery = time.Minute

	// retryPause is the first pause after a renewal that failed. It doubles, up to
	// mostPause and an eighth of the interval.
	retryPause = 10 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// renewals extends locks in time: one goroutine for all locks of a manager,
// started with the first, for which Close waits. It never waits for a node: it
// puts the question, and is told when the votes have decided.
type renewals struct {
	wake chan struct{} // capacity 1: something is due earlier, or decided

	mu      sync.Mutex // no other mutex is taken under it
	queue   renewalHeap
	decided []*renewal
	running bool
}

// renewal is what the scheduler knows about one lock.
type renewal struct {
	lock     *Lock
	interval time.Duration
	due      time.Time // in the queue by it: to be renewed, or given up for this time
	place    int       // in the queue; -1: not there

	// What follows belongs to the scheduler's goroutine.

	until     time.Time // of the lock, when due was set
	start     time.Time // of the question
	ballot    *ballot   // of the question; nil: none
	confirmed time.Time // the start of the last one that was won
	failures  int       // in a row
}

// add has l renewed from now on, until it is over. The first time is anywhere in
// the first interval, so that locks taken at once are not renewed at once.
func (r *renewals) add(l *Lock) {
	x := &renewal{lock: l, interval: l.interval(), confirmed: l.start, until: l.until}
	first := min(x.interval, confirmEvery)
	if !l.noExpiry { // a lock that was resumed may have little left
		first = min(first, l.until.Sub(l.start)/2)
	}
	x.due = l.start.Add(jitter(first))
	l.renewal = x
	r.mu.Lock()
	defer r.mu.Unlock()
	heap.Push(&r.queue, x)
	if !r.running {
		r.running = true
		l.m.tasks.Go(func() error { r.run(l.m); return nil })
	}
	wakeUp(r.wake)
}

// remove forgets a lock that is over.
func (r *renewals) remove(x *renewal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.place >= 0 {
		heap.Remove(&r.queue, x.place)
	}
}

// run renews what is due until the manager closes.
func (r *renewals) run(m *Manager) {
	timer := time.NewTimer(confirmEvery)
	defer timer.Stop()
	for m.open.Err() == nil {
		due, decided, next := r.take(time.Now())
		for _, x := range decided {
			x.settle()
			r.put(x)
		}
		for _, x := range due {
			x.act(r)
		}
		if len(due)+len(decided) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-r.wake:
		case <-m.open.Done():
		}
	}
}

// take returns the renewals that are due, those that are decided, and how long
// nothing else will be due.
func (r *renewals) take(now time.Time) (due, decided []*renewal, next time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 && !r.queue[0].due.After(now) {
		due = append(due, heap.Pop(&r.queue).(*renewal))
	}
	decided, r.decided = r.decided, nil
	next = confirmEvery
	if len(r.queue) > 0 {
		next = r.queue[0].due.Sub(now)
	}
	return due, decided, next
}

// put queues x by its due time, unless its lock is over.
func (r *renewals) put(x *renewal) {
	over := x.lock.Err() != nil
	r.mu.Lock()
	defer r.mu.Unlock()
	if !over && x.place < 0 {
		heap.Push(&r.queue, x)
	}
}

// report is called once, by whoever casts the vote that decides.
func (r *renewals) report(x *renewal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.place >= 0 {
		heap.Remove(&r.queue, x.place)
	}
	r.decided = append(r.decided, x)
	wakeUp(r.wake)
}

// act does what x is due for: a question that was not answered in time has
// failed; a lock that has been extended meanwhile is put off; any other is asked
// for.
func (x *renewal) act(r *renewals) {
	if x.ballot != nil {
		x.ballot.timeOut(x.lock.m.nodeTimeout(x.lock.ttl))
		return // which has reported it
	}
	now := time.Now()
	if until := x.lock.Until(); until.After(x.until) { // by an Extend of the caller's
		x.until = until
		if x.due = x.next(now); x.due.After(now) {
			r.put(x)
			return
		}
	}
	if !x.ask(r) {
		x.due = now.Add(retryPause)
		r.put(x)
	}
}

// ask puts the question to all nodes. It is false while an Extend of the
// caller's is under way.
func (x *renewal) ask(r *renewals) bool {
	l := x.lock
	if l.Err() != nil || !l.tryTurn() {
		return false
	}
	l.compact()
	now := time.Now()
	ttl, timeout := l.ttl, l.m.nodeTimeout(l.ttl)
	if l.noExpiry {
		ttl = 0 // it is confirmed: there is nothing to extend
	} else {
		timeout = min(timeout, remaining(now, l.Until()))
	}
	if !l.keepFor(now, l.ttl) {
		l.leaveTurn()
		return false
	}
	b := newBallot(len(l.m.nodes), decided)
	b.onEnough = func() { r.report(x) }
	x.start, x.ballot, x.due = now, b, now.Add(timeout)
	r.put(x)
	req := extendRequest(l.key, l.Token(), ttl)
	l.m.put(b, &req)
	return true
}

// settle takes the votes on the question.
func (x *renewal) settle() {
	l, b := x.lock, x.ballot
	x.ballot = nil
	now := time.Now()
	t := b.sum()
	switch t.verdict() {
	case won:
		x.failures, x.confirmed = 0, x.start
		if !l.noExpiry {
			_ = l.prolong(trustedUntil(x.start, l.ttl, l.m.cfg.DriftFactor, l.m.cfg.Margin))
		}
		l.healFrom(b, x.start, l.ttl)
		x.due, x.until = x.next(now), l.Until()
	case beaten:
		l.lose(ErrLost)
	default:
		b.over.Store(true)
		x.due = now.Add(min(retryPause<<min(x.failures, 10), max(x.interval/8, time.Millisecond), mostPause))
		x.failures++
	}
	x.tell(b, t)
	l.leaveTurn()
}

// next is when the lock is to be renewed: when its validity less the interval is
// left, however it was extended; a tenth of the interval earlier or later, so
// that locks do not renew in step; and once a minute all the same.
func (x *renewal) next(now time.Time) time.Time {
	l := x.lock
	spread := jitter(x.interval/5) - x.interval/10
	next := now.Add(x.interval + spread)
	if !l.noExpiry {
		valid := validity(l.ttl, l.m.cfg.DriftFactor, l.m.cfg.Margin)
		byUntil := l.Until().Add(x.interval + spread - valid)
		if l.cap.IsZero() || byUntil.After(now) {
			next = byUntil
		}
	}
	early := jitter(min(x.interval, confirmEvery) / 5)
	if latest := x.confirmed.Add(confirmEvery - early); latest.Before(next) {
		return latest
	}
	return next
}

// interval is the time between two renewals: a third of the TTL, or half of the
// validity where drift and margin take more than that.
func (l *Lock) interval() time.Duration {
	if l.m.cfg.RenewInterval > 0 {
		return l.m.cfg.RenewInterval
	}
	return max(min(l.ttl/3, l.m.longestInterval(l.ttl), confirmEvery), time.Millisecond)
}

// longestInterval is half of the validity that a lock of the given TTL has: a
// renewal can fail once, and be made good.
func (m *Manager) longestInterval(ttl time.Duration) time.Duration {
	return validity(ttl, m.cfg.DriftFactor, m.cfg.Margin) / 2
}

// renewalHeap is ordered by due time.
type renewalHeap []*renewal

func (h renewalHeap) Len() int           { return len(h) }
func (h renewalHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h renewalHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push and Pop are container/heap's.
func (h *renewalHeap) Push(x any) {
	r := x.(*renewal)
	r.place = len(*h)
	*h = append(*h, r)
}

// Pop takes the last one.
func (h *renewalHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	x.place = -1
	return x
}
