package redlock

import (
	"context"
	"errors"
	"time"
)

// unlocking is one Unlock that asks the nodes; others wait for it.
type unlocking struct {
	done chan struct{}
	err  error // set before done is closed
}

// Unlock gives the lock back. It is over locally before the nodes are asked,
// and works with a ctx that has ended too, bounded by the node timeout.
//
// It returns nil if a majority deleted the key. [ErrLost] says that a majority
// can no longer have had it; [ErrNoQuorum] that too few nodes answered: another
// Unlock asks again. Of a lock that was over already it returns [ErrExpired],
// [ErrLost] or [ErrReleased]; what still stands of it is deleted all the same.
func (m *Manager) Unlock(ctx context.Context, lock *Lock) (err error) {
	if err := m.begin(); err != nil {
		return err
	}
	begun, ended := time.Now(), false
	defer func() {
		if ended {
			lock.tellReleased(ctx, begun, err)
		}
	}()
	defer m.leave()
	if err := m.checkLock(lock); err != nil {
		return err
	}
	// One whose time is over ends as that, also where its timer is late.
	ended = lock.Err() == nil && lock.end(ErrReleased)
	return lock.endedIn(ctx, "unlock", lock.unlock(ctx))
}

// unlock has one caller at a time ask the nodes.
func (l *Lock) unlock(ctx context.Context) error {
	cause := context.Cause(l.life)
	l.mu.Lock()
	if l.released {
		l.mu.Unlock()
		return cause
	}
	if other := l.unlocking; other != nil {
		l.mu.Unlock()
		<-other.done // a node timeout at most
		if other.err == nil {
			return ErrReleased
		}
		return other.err
	}
	mine := &unlocking{done: make(chan struct{})}
	l.unlocking = mine
	l.mu.Unlock()

	mine.err = l.askRelease(ctx, cause)
	l.mu.Lock()
	l.unlocking = nil
	l.released = l.released || mine.err == nil
	l.mu.Unlock()
	close(mine.done)
	return mine.err
}

// askRelease asks all nodes to delete the key, and judges their votes. It
// outlives the caller's ctx, by a node timeout at most: a cancelled caller
// leaves no key behind.
func (l *Lock) askRelease(ctx context.Context, cause error) error {
	m := l.m
	b := newBallot(len(m.nodes), decided)
	l.putRelease(b)
	ctx = context.WithoutCancel(ctx) // others may get this error: each adds that of its own ctx
	t := b.wait(ctx, m.open, m.nodeTimeout(l.ttl))
	b.over.Store(true)
	m.crowd(l.key, b.told())
	switch {
	case m.open.Err() != nil:
		return ErrClosed
	case !errors.Is(cause, ErrReleased):
		return cause // it was over before: the holder is told so, whatever the votes
	}
	switch t.verdict() {
	case won:
		return nil
	case beaten:
		return m.verdictError(ctx, "unlock", l.resource, ErrLost, b, t)
	}
	return m.verdictError(ctx, "unlock", l.resource, ErrNoQuorum, b, t)
}

// abandon takes back what a failed try or a lock that is over may have left on
// the nodes. It waits for no answer; what stays unconfirmed is the reaper's.
func (l *Lock) abandon() { l.putRelease(nil) }

// putRelease asks every node to delete the key. Without a ballot nobody waits
// for the votes, and only nodes that may have the key are asked.
func (l *Lock) putRelease(b *ballot) {
	debts := l.openDebts()
	var commands []command
	if b != nil {
		commands = b.commands
	} else {
		commands = make([]command, len(debts))
	}
	held := l.life != nil // and no try that has failed
	followed := held && l.m.awaited(l.key)
	for i, n := range l.m.nodes {
		commands[i].req, commands[i].followed = debts[i].request, followed
		n.release(&debts[i], &commands[i], b != nil)
	}
	if held {
		l.m.drop(l) // not before: Resume must not find its keys and miss its releases
		l.m.passOn(l.key)
	}
}

// openDebts makes the debts of the lock at its first release. Nodes with one
// number of their database share one request.
func (l *Lock) openDebts() []debt {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ballot != nil {
		l.ballot.over.Store(true)
	}
	if l.debts == nil {
		l.debts = make([]debt, len(l.m.nodes))
		var req *request
		for i, n := range l.m.nodes {
			db := n.db
			if l.life == nil {
				db = ""
			}
			if i == 0 || n.db != l.m.nodes[i-1].db {
				made := releaseRequest(l.key, l.Token(), db)
				req = &made
			}
			l.debts[i] = debt{
				acquire: l.acquireLocked(i),
				request: req,
				span:    l.span,
				given:   l.given,
				once:    l.given && !l.persisting,
			}
			if !l.persisting {
				l.debts[i].lapse = l.lapse
			}
		}
	}
	return l.debts
}

// checkLock refuses what is no lock of this manager.
func (m *Manager) checkLock(lock *Lock) error {
	switch {
	case lock == nil:
		return configErrorf("lock", "expected one that Lock, TryLock, Do or Resume returned, got nil")
	case lock.m != m:
		return configErrorf("lock", "expected one of this manager, got one of another")
	}
	return nil
}
