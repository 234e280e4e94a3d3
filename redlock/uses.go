package redlock

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// uses are the last uses of the tokens that callers chose. A fresh random token
// needs none: what is left of one attempt cannot be taken for another's. A
// chosen one is used again only when nothing of its last use can be left on any
// node.
type uses struct {
	mu      sync.Mutex         // no lock is ended under it
	last    map[[2]string]*use // by key and token; guarded by mu
	sweepAt int                // how many entries there may be before the spent ones are dropped; guarded by mu
}

// use is one try, and the lock that it may have become.
type use struct {
	lock   *Lock
	trying bool // guarded by uses.mu
	before *use // of a lock that was resumed: the use that it took over, where that was not spent
}

// pollUses is how often Lock looks whether a token is free again. It asks no
// node: the answers that it waits for are counted here.
const pollUses = 10 * time.Millisecond

// claim makes l the token's current use. While this manager holds it, that is
// ErrAlreadyHeld; while something may be left of it, claim waits or returns
// ErrNoQuorum.
func (u *uses) claim(ctx context.Context, l *Lock, wait bool) error {
	for {
		u.endLast(l.key, l.Token())
		free, held := u.replace(l)
		switch {
		case free:
			return nil
		case held:
			return alreadyHeld("lock", l.resource)
		case !wait:
			return opError("lock", l.resource, fmt.Errorf("%w: nodes may still keep the last use of this token", ErrNoQuorum))
		}
		pause(pollUses, ctx.Done(), l.m.open.Done())
		switch {
		case l.m.open.Err() != nil:
			return ErrClosed
		case ctx.Err() != nil:
			return opError("lock", l.resource, ctx.Err())
		}
	}
}

// lingers reports whether something may be left of the token's last use, and
// this manager does not hold it.
func (u *uses) lingers(key, token string) bool {
	u.endLast(key, token)
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.last[[2]string{key, token}]
	return last != nil && !last.held() && !last.spent(time.Now())
}

// endLast ends the lock of the token's last use if its time is over. That is
// logged, and a handler of logs may call the library: mu is not held.
func (u *uses) endLast(key, token string) {
	u.mu.Lock()
	last := u.last[[2]string{key, token}]
	won := last != nil && !last.trying && last.lock.life != nil
	u.mu.Unlock()
	if won {
		_ = last.lock.Err()
	}
}

// replace makes l the current use if the last one is spent; else it reports
// whether that one is held.
func (u *uses) replace(l *Lock) (free, held bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	name := [2]string{l.key, l.Token()}
	now := time.Now()
	if last := u.last[name]; last != nil && !last.spent(now) {
		return false, last.held()
	}
	u.setLocked(name, &use{lock: l, trying: true}, now)
	return true, false
}

func (u *uses) setLocked(name [2]string, current *use, now time.Time) {
	if len(u.last) >= u.sweepAt {
		for name, last := range u.last {
			if last.spent(now) {
				delete(u.last, name)
			}
		}
		u.sweepAt = 64 + 2*len(u.last)
	}
	if u.last == nil {
		u.last = make(map[[2]string]*use)
	}
	u.last[name] = current
}

// tried marks the end of the try that claimed l.
func (u *uses) tried(l *Lock) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last[[2]string{l.key, l.Token()}].trying = false
}

// held reports whether the try has become a lock that was not ended.
func (u *use) held() bool { return !u.trying && u.lock.life != nil && u.lock.life.Err() == nil }

// spent reports whether nothing of the use can be left: every node has refused
// it or answered its release, or its TTL has passed.
func (u *use) spent(now time.Time) bool {
	if u.trying || u.held() || u.before != nil && !u.before.spent(now) {
		return false
	}
	l := u.lock
	l.mu.Lock()
	lapse, debts := l.lapse, l.debts
	acquires := make([]*command, len(l.m.nodes))
	for i := range acquires {
		acquires[i] = l.acquireLocked(i)
	}
	l.mu.Unlock()
	lapsed := now.After(lapse)
	if lapsed && !l.persisting {
		return true
	}
	for i, n := range l.m.nodes {
		if !n.clean(acquires[i], debts, i, lapsed) {
			return false
		}
	}
	return true
}

// clean reports whether the acquire has left nothing on the node. No PERSIST is
// sent before its answer: without one its key lapses with its TTL.
func (n *node) clean(acquire *command, debts []debt, i int, lapsed bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case acquire.state == unsent, debts != nil && debts[i].settled:
		return true
	case acquire.state == answered && acquire.vote != granted:
		return true
	case acquire.state == answered && (debts == nil || debts[i].counted):
		return false // it is held, or its release will be answered
	}
	return lapsed // no PERSIST follows a grant that came too late to be released
}
