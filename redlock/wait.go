package redlock

import (
	"context"
	"fmt"
	"time"
)

const (
	// maxPasses is how often in a row a lock goes from one caller of this manager
	// to the next while other processes wait. Then they are let in.
	maxPasses = 4

	// maxSplits is how often in a row a split vote is followed by a short pause.
	maxSplits = 3

	// maxOthers is the largest crowd of other processes that callers spread for. A
	// server may name any number.
	maxOthers = 1000

	// forever is longer than anybody sleeps.
	forever = 24 * time.Hour

	// leastTrip is the shortest round trip that pauses are measured in.
	leastTrip = 100 * time.Microsecond

	// holderPoll is how often the head of a line looks, without asking the nodes,
	// whether a lock of this manager is over. It is told so, mostly.
	holderPoll = time.Second
)

// asking begins a question: what was heard before it does not count.
func (w *waiter) asking() {
	w.m.lines.mu.Lock()
	defer w.m.lines.mu.Unlock()
	clear(w.free)
	select {
	case <-w.wake:
	default:
	}
}

// timed notes how long a question has taken.
func (w *waiter) timed(trip time.Duration) {
	w.m.lines.mu.Lock()
	defer w.m.lines.mu.Unlock()
	w.trip = max(trip, leastTrip)
}

// rest sleeps after a try that was not won. A split vote is asked about again
// soon, and whatever is heard: contenders that are woken by one release would
// split the vote again.
func (w *waiter) rest(ctx context.Context, b *ballot, t tally, most time.Duration) {
	d, split := w.pauseAfter(b, t, most)
	if split {
		pause(d, ctx.Done(), w.m.open.Done())
		return
	}
	w.sleep(ctx, d)
}

// pauseAfter takes the votes of a try and returns how long to sleep at the most,
// and whether they were split. Releases are listened for then too: whoever holds
// the lock counts its listeners, and lets them in.
func (w *waiter) pauseAfter(b *ballot, t tally, most time.Duration) (d time.Duration, split bool) {
	w.m.lines.mu.Lock()
	defer w.m.lines.mu.Unlock()
	w.passes = 0
	contended := t.voted() && t.verdict() != won // else nobody will release what is missing
	if !contended {
		w.splits = 0
		return most, false
	}
	w.listenLocked(true)
	if t.yes == 0 {
		w.splits = 0
	} else if w.splits++; w.splits <= maxSplits {
		return min(most, jitter(w.trip<<w.splits)), true
	}
	for _, node := range b.grants() {
		w.freedLocked(node)
	}
	return min(most, b.freeIn()+jitter(w.trip)), false
}

// gaveUp counts a try that found no quorum, or ends that count, and reports
// whether the head is to give up. Those in the queue whose patience has ended do
// so with it: the head has asked for them.
func (w *waiter) gaveUp(voted bool, err error) bool {
	w.m.lines.mu.Lock()
	defer w.m.lines.mu.Unlock()
	if w.barren++; voted {
		w.barren = 0
	}
	if w.barren < barrenTries {
		return false
	}
	for place := w.waiters.Back(); place != nil; {
		other := place.Value.(*waiter)
		place = place.Prev()
		if other != w && other.impatient() {
			other.leaveLocked()
			other.turn <- err
		}
	}
	return w.impatient()
}

func (w *waiter) impatient() bool { return time.Since(w.begun) >= patience }

// sleep returns after d at the latest; sooner when a majority may be free, and
// when the lock of this manager that w waits for is released.
func (w *waiter) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.wake:
		pause(w.courtesy(), ctx.Done(), w.m.open.Done())
	case <-timer.C:
	case <-ctx.Done():
	case <-w.m.open.Done():
	}
}

// courtesy is how long the head holds back, once it has been woken: so that
// other processes get their turn after a few of ours, and so that many of them
// do not ask at the same instant.
func (w *waiter) courtesy() time.Duration {
	held := w.m.holder(w.key) != nil
	w.m.lines.mu.Lock()
	defer w.m.lines.mu.Unlock()
	switch {
	case held, w.others == 0:
		return 0
	case w.passes > maxPasses:
		w.passes = 0
		return 3*w.trip + jitter(2*w.trip)
	case w.passes > 0:
		return 0
	}
	return jitter(w.trip * time.Duration(w.others-1) / 2) // the one that has released does not wait
}

// cutShort is the error of a Lock whose ctx has ended: that of the last whole
// try, if there was one, and the context's.
func (w *waiter) cutShort(ctx context.Context, o *lockOptions, last *QuorumError) error {
	switch {
	case w.m.open.Err() != nil:
		return ErrClosed
	case last != nil:
		both := *last
		both.ended = ctx.Err()
		return &both
	case w.m.holder(w.key) != nil:
		return opError("lock", o.resource, fmt.Errorf("%w by this manager: %w", ErrTaken, ctx.Err()))
	}
	return opError("lock", o.resource, ctx.Err())
}
