package redlock

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// lines are the queues of a manager's callers, by key. There is one for each
// key that somebody waits for.
type lines struct {
	mu    sync.Mutex // the mutex of an ear may be taken under it, and no other
	byKey map[string]*line
}

// line is the queue for one key, first come, first served. Only its head asks
// the nodes: a thousand waiters cost them what one costs.
//
// The head asks, is refused, begins to listen, and sleeps. It asks again as soon
// as a majority of nodes may be free: those that granted its last question, and
// those that have published a release since, or that began only then to be
// listened to. So no release is missed between question and subscription. A
// timer runs behind every sleep.
type line struct {
	m    *Manager
	key  string
	wake chan struct{} // capacity 1: the head is to look again

	// What follows is guarded by lines.mu.

	waiters   list.List // of *waiter, the head first
	free      []bool    // by node: it may be free since the head's last question
	listening bool
	barren    int // tries in a row that found no quorum
	splits    int // tries in a row that split the vote
	passes    int // from one caller of this manager to the next, in a row, while others waited
	others    int // processes that waited when this manager last released the key
	trip      time.Duration
}

// waiter is one call of Lock in its line.
type waiter struct {
	*line
	place *list.Element // guarded by lines.mu; nil: it has left
	begun time.Time
	turn  chan error // capacity 1: nil makes it the head; an error ends the call
}

// queue queues a call for key.
func (m *Manager) queue(key string) *waiter {
	m.lines.mu.Lock()
	defer m.lines.mu.Unlock()
	l := m.lines.byKey[key]
	if l == nil {
		l = &line{m: m, key: key, wake: make(chan struct{}, 1), free: make([]bool, len(m.nodes))}
		if m.lines.byKey == nil {
			m.lines.byKey = make(map[string]*line)
		}
		m.lines.byKey[key] = l
	}
	w := &waiter{line: l, begun: time.Now(), turn: make(chan error, 1)}
	w.place = l.waiters.PushBack(w)
	if l.waiters.Len() == 1 {
		w.turn <- nil
	}
	return w
}

// first reports whether w has no other before it.
func (w *waiter) first() bool {
	w.m.lines.mu.Lock()
	defer w.m.lines.mu.Unlock()
	return w.waiters.Front() == w.place
}

// leave takes w out of its line. The next one becomes the head.
func (w *waiter) leave() {
	mu := &w.m.lines.mu
	mu.Lock()
	defer mu.Unlock()
	w.leaveLocked()
}

func (w *waiter) leaveLocked() {
	if w.place == nil {
		return
	}
	wasHead := w.waiters.Front() == w.place
	w.waiters.Remove(w.place)
	w.place = nil
	switch next := w.waiters.Front(); {
	case next == nil:
		delete(w.m.lines.byKey, w.key)
		w.listenLocked(false)
	case wasHead:
		next.Value.(*waiter).turn <- nil
	}
}

// stepBack lets the callers behind w go first: w cannot ask yet, and must not
// hold them up.
func (w *waiter) stepBack(ctx context.Context) {
	w.m.lines.mu.Lock()
	w.waiters.MoveToBack(w.place)
	w.waiters.Front().Value.(*waiter).turn <- nil
	w.m.lines.mu.Unlock()
	pause(pollUses, ctx.Done(), w.m.open.Done())
}

// await returns when w is the head of its line, and how many tries have been
// counted by then, with those before. Where they are limited, each pause of a
// call in the queue counts as one: the head asks for it. It returns early, at the
// last one, which the call makes itself, out of turn.
func (w *waiter) await(
	ctx context.Context, o *lockOptions, before int, last *QuorumError,
) (tries int, inTurn bool, err error) {
	for tries = before; ; {
		select {
		case err := <-w.turn:
			return tries, true, err
		default:
		}
		var due <-chan time.Time
		if o.attempts > 0 {
			if tries == o.attempts-1 {
				return tries, false, nil
			}
			timer := time.NewTimer(o.backoff(tries + 1))
			defer timer.Stop()
			due = timer.C
		}
		select {
		case err := <-w.turn:
			return tries, true, err
		case <-due:
			tries++
		case <-ctx.Done():
			return tries, false, w.cutShort(ctx, o, last)
		case <-w.m.open.Done():
			return tries, false, ErrClosed
		}
	}
}

// hear notes that a node has published a release of the key, or that it has
// only now begun to be listened to: one may have been missed.
func (l *line) hear(node int) {
	l.m.lines.mu.Lock()
	defer l.m.lines.mu.Unlock()
	l.freedLocked(node)
}

// freedLocked wakes the head once a majority of nodes may be free.
func (l *line) freedLocked(node int) {
	l.free[node] = true
	n := 0
	for _, free := range l.free {
		if free {
			n++
		}
	}
	if n >= majority(len(l.free)) {
		wakeUp(l.wake)
	}
}

// awaited reports whether somebody in this process waits for key.
func (m *Manager) awaited(key string) bool {
	m.lines.mu.Lock()
	defer m.lines.mu.Unlock()
	return m.lines.byKey[key] != nil
}

// passOn wakes the next caller in this process: the releases of the key are
// queued, and its question will be behind them on every node.
func (m *Manager) passOn(key string) {
	m.lines.mu.Lock()
	defer m.lines.mu.Unlock()
	if l := m.lines.byKey[key]; l != nil {
		l.passes++
		wakeUp(l.wake)
	}
}

// crowd notes how many subscribers a release of the key has told.
func (m *Manager) crowd(key string, told int) {
	m.lines.mu.Lock()
	defer m.lines.mu.Unlock()
	if l := m.lines.byKey[key]; l != nil {
		if l.listening {
			told-- // ourselves
		}
		l.others = min(max(0, told), maxOthers)
	}
}

// listenLocked begins or ends to listen for releases of the key on all nodes. A
// call that was inside a function of its caller's may come here after Close has
// ended: nothing begins then.
func (l *line) listenLocked(on bool) {
	if l.listening == on || on && l.m.open.Err() != nil {
		return
	}
	l.listening = on
	for _, n := range l.m.nodes {
		if on {
			n.ear.tune(n.channel(l.key), l)
		} else {
			n.ear.untune(n.channel(l.key))
		}
	}
}
