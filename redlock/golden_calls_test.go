package redlock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// inBubble is the error of a call of a manager on n nodes. Its connections are
// made, and the nodes answer one after the other, a millisecond apart: how many
// have answered when the votes decide is always the same.
func inBubble(n int, f func(t *testing.T, r *rig) error) func(t *testing.T) error {
	return func(t *testing.T) (err error) {
		bubble(t, n, Config{}, func(t *testing.T, r *rig) {
			r.connected()
			for i, node := range r.nodes {
				node.SetDelay(0, time.Duration(i+1)*time.Millisecond)
			}
			err = f(t, r)
		})
		return err
	}
}

// onThree is inBubble on three nodes, for a call that takes "report".
func onThree(f func(t *testing.T, r *rig) error) func(t *testing.T) error { return inBubble(3, f) }

// held is a call for a lock of this manager that was taken on three nodes.
func held(f func(t *testing.T, r *rig, lock *Lock) error, opts ...LockOption) func(t *testing.T) error {
	return onThree(func(t *testing.T, r *rig) error { return f(t, r, r.mustLock(r.Manager, "report", opts...)) })
}

// take takes "report" and returns the error.
func (r *rig) take(ctx context.Context, opts ...LockOption) error {
	_, err := r.TryLock(ctx, "report", opts...)
	return err
}

// elsewhere has another manager hold "report".
func (r *rig) elsewhere(opts ...LockOption) {
	r.t.Helper()
	r.mustLock(r.manager(Config{}), "report", append(opts, WithTTL(time.Hour))...)
}

// forceOut takes "report" away from whoever holds it.
func (r *rig) forceOut() {
	r.t.Helper()
	if err := r.manager(Config{}).ForceUnlock(r.t.Context(), "report"); err != nil {
		r.t.Fatal(err)
	}
}

// down ends nodes, and returns when that is known.
func (r *rig) down(nodes ...int) {
	for _, i := range nodes {
		r.nodes[i].Kill()
	}
	passTime(time.Second)
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

var callErrors = []told{
	{"somebody else has it", onThree(func(t *testing.T, r *rig) error {
		r.elsewhere()
		return r.take(t.Context())
	})},
	{"somebody else had it until ctx ended", onThree(func(t *testing.T, r *rig) error {
		r.elsewhere()
		_, err := r.Lock(within(t, time.Second), "report")
		return err
	})},
	{"this manager had it until ctx ended", held(func(t *testing.T, r *rig, _ *Lock) error {
		_, err := r.Lock(within(t, time.Second), "report")
		return err
	})},
	{"contenders have split the votes", onThree(func(t *testing.T, r *rig) error {
		r.nodes[1].Set("report", "one", 0)
		r.nodes[2].Set("report", "another", 0)
		return r.take(t.Context())
	})},
	{"it is held under the token that was given", onThree(func(t *testing.T, r *rig) error {
		r.elsewhere(WithToken("run-42"))
		return r.take(t.Context(), WithToken("run-42"))
	})},
	{"this manager holds it under the token that was given", held(func(t *testing.T, r *rig, _ *Lock) error {
		return r.take(t.Context(), WithToken("run-42"))
	}, WithToken("run-42"))},
	{"this manager holds what it is to resume", held(func(t *testing.T, r *rig, lock *Lock) error {
		_, err := r.Resume(t.Context(), "report", lock.Token())
		return err
	})},
	{"one node is dead, and one refuses the command", onThree(func(t *testing.T, r *rig) error {
		r.down(1)
		r.nodes[2].Deny("set")
		return r.take(t.Context())
	})},
	{"two nodes are silent", onThree(func(t *testing.T, r *rig) error {
		r.nodes[1].Pause()
		r.nodes[2].Pause()
		return r.take(t.Context())
	})},
	{"two nodes were silent when ctx ended", onThree(func(t *testing.T, r *rig) error {
		r.nodes[1].Pause()
		r.nodes[2].Pause()
		return r.take(within(t, 10*time.Millisecond))
	})},
	{"two connections are reset", onThree(func(t *testing.T, r *rig) error {
		for _, node := range r.nodes[1:] {
			node.OnCommand(func(c fakeredis.Command) fakeredis.Action { return fakeredis.Action{Cut: c.Name == "SET"} })
		}
		return r.take(t.Context())
	})},
	{"two servers close the connection", onThree(func(t *testing.T, r *rig) error {
		for _, node := range r.nodes[1:] {
			node.OnCommand(func(c fakeredis.Command) fakeredis.Action {
				if c.Name == "SET" {
					node.KillClients()
				}
				return fakeredis.Action{}
			})
		}
		return r.take(t.Context())
	})},
	{"the answers came when the lock could not be trusted any more", onThree(func(t *testing.T, r *rig) error {
		// A process that was stopped meanwhile finds it so.
		l := newLock(r.Manager, &lockOptions{resource: "report", key: "report", ttl: time.Second})
		l.until = time.Now()
		return l.judge(t.Context(), tally{total: 3, yes: 2, no: 1})
	})},
	{"the replicas did not confirm in time", inBubble(1, func(t *testing.T, r *rig) error {
		_, err := r.manager(Config{Nodes: []Node{{Host: "10.0.0.1", Replicas: 1}}}).TryLock(t.Context(), "report")
		return err
	})},
	{"a lock without expiry on a client that was given", func(t *testing.T) (err error) {
		bringYourOwn(t, 1, func(t *testing.T, r *rig) {
			r.connected()
			err = r.take(t.Context(), WithNoExpiry())
		})
		return err
	}},
	{"a node may keep the last use of the token", onThree(func(t *testing.T, r *rig) error {
		r.nodes[2].Pause()
		if err := r.mustLock(r.Manager, "report", WithToken("run-42")).Unlock(t.Context()); err != nil {
			return err
		}
		return r.take(t.Context(), WithToken("run-42"))
	})},
	{"ctx ended before the call", onThree(func(t *testing.T, r *rig) error { return r.take(canceled(t)) })},
	{"ctx ended before a Ping", onThree(func(t *testing.T, r *rig) error { return r.Ping(canceled(t)) })},
	{"ctx ended before an Extend", held(func(t *testing.T, _ *rig, lock *Lock) error {
		return lock.Extend(canceled(t), 0)
	})},
	{"Err of a lock whose time is over", held(func(_ *testing.T, _ *rig, lock *Lock) error {
		passTime(time.Minute)
		return lock.Err()
	})},
	{"Extend of a lock whose time is over", held(func(t *testing.T, _ *rig, lock *Lock) error {
		passTime(time.Minute)
		return lock.Extend(t.Context(), 0)
	})},
	{"Extend of a lock whose time is over, and ctx too", held(func(t *testing.T, _ *rig, lock *Lock) error {
		passTime(time.Minute)
		return lock.Extend(canceled(t), 0)
	})},
	{"Unlock of a lock whose time is over", held(func(t *testing.T, _ *rig, lock *Lock) error {
		passTime(time.Minute)
		return lock.Unlock(t.Context())
	})},
	{"Extend of a lock that was dropped", held(func(t *testing.T, r *rig, lock *Lock) error {
		r.forceOut()
		return lock.Extend(t.Context(), 0)
	})},
	{"one more Extend of it", held(func(t *testing.T, r *rig, lock *Lock) error {
		r.forceOut()
		_ = lock.Extend(t.Context(), 0)
		return lock.Extend(t.Context(), 0)
	})},
	{"Unlock of a lock that was dropped", held(func(t *testing.T, r *rig, lock *Lock) error {
		r.forceOut()
		return lock.Unlock(t.Context())
	})},
	{"IsHeld of a lock that was dropped", held(func(t *testing.T, r *rig, lock *Lock) error {
		r.forceOut()
		_, err := lock.IsHeld(t.Context())
		return err
	})},
	{"a second Unlock", held(func(t *testing.T, _ *rig, lock *Lock) error {
		_ = lock.Unlock(t.Context())
		return lock.Unlock(t.Context())
	})},
	{"IsHeld of a lock that was given back", held(func(t *testing.T, _ *rig, lock *Lock) error {
		_ = lock.Unlock(t.Context())
		_, err := lock.IsHeld(t.Context())
		return err
	})},
	{"Extend of a lock without expiry", held(func(t *testing.T, _ *rig, lock *Lock) error {
		return lock.Extend(t.Context(), 0)
	}, WithNoExpiry())},
	{"Resume under a token that nobody has", onThree(func(t *testing.T, r *rig) error {
		_, err := r.Resume(t.Context(), "report", "run-42")
		return err
	})},
	{"Resume of what is kept for too short a time", onThree(func(t *testing.T, r *rig) error {
		for _, node := range r.nodes {
			node.Set("report", "run-42", 2*time.Millisecond)
		}
		_, err := r.Resume(t.Context(), "report", "run-42")
		return err
	})},
	{"two calls of Resume at once", onThree(func(t *testing.T, r *rig) error {
		go func() { _, _ = r.Resume(t.Context(), "report", "run-42") }()
		synctest.Wait()
		_, err := r.Resume(t.Context(), "report", "run-42")
		passTime(time.Second)
		return err
	})},
	{"IsLocked without a majority", onThree(func(t *testing.T, r *rig) error {
		r.down(0, 1)
		_, err := r.IsLocked(t.Context(), "report")
		return err
	})},
	{"Inspect without a majority", onThree(func(t *testing.T, r *rig) error {
		r.down(0, 1)
		_, err := r.Inspect(t.Context(), "report")
		return err
	})},
	{"ForceUnlock of what is no lock", onThree(func(t *testing.T, r *rig) error {
		r.nodes[0].Do("RPUSH", "report", "no", "lock")
		r.nodes[1].Do("RPUSH", "report", "no", "lock")
		return r.ForceUnlock(t.Context(), "report")
	})},
	{"ForceUnlockAll with a dead node", onThree(func(t *testing.T, r *rig) error {
		r.down(2)
		_, err := r.ForceUnlockAll(t.Context(), "rep")
		return err
	})},
	{"Do whose work failed, and whose lock was over", onThree(func(t *testing.T, r *rig) error {
		return r.Do(t.Context(), "report", func(_ context.Context, lock *Lock) error {
			<-lock.Done()
			return errors.New("page 7 is missing")
		}, WithMaxHold(time.Second))
	})},
	{"a call after Close", onThree(func(t *testing.T, r *rig) error {
		if err := r.Close(t.Context()); err != nil {
			return err
		}
		return r.take(t.Context())
	})},
	{"Close while a function that was given hangs", onThree(func(t *testing.T, r *rig) error {
		r.elsewhere()
		hangs := make(chan struct{})
		pauses := func(int) time.Duration { <-hangs; return 0 }
		go func() { _, _ = r.Lock(t.Context(), "report", WithBackoff(pauses)) }()
		passTime(time.Second)
		defer close(hangs)
		return r.Close(within(t, time.Second))
	})},
	{"Close with a silent node", held(func(t *testing.T, r *rig, _ *Lock) error {
		r.nodes[1].Pause()
		err := r.Close(within(t, time.Second))
		r.nodes[1].Resume()
		return err
	})},
}
