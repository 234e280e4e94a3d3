package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// dropsAll wants that a manager of q drops a lock by its prefix. A node that
// connects late has no vote yet: it is tried again.
func dropsAll(t *testing.T, q *Quorum) {
	t.Helper()
	m, resource := q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
	eventually(t, 20*time.Second, func() error {
		lock, err := m.TryLock(t.Context(), resource)
		if err != nil {
			return err
		}
		if n, err := m.ForceUnlockAll(t.Context(), resource); n != 1 || err != nil {
			return fmt.Errorf("ForceUnlockAll: %d, %w", n, err)
		}
		if err := lock.Err(); !errors.Is(err, redlock.ErrLost) {
			return fmt.Errorf("the lock got %w", err)
		}
		return nil
	})
	q.WantFree(t, resource, 5*time.Second)
}

// wantDropped fails unless ForceUnlockAll drops so many.
func wantDropped(t testing.TB, m *redlock.Manager, prefix string, want int) {
	t.Helper()
	if n, err := m.ForceUnlockAll(t.Context(), prefix); n != want || err != nil {
		t.Errorf("%q: got %d, %v, want %d", prefix, n, err, want)
	}
}

func TestForceUnlockDropsALockWhoeverHoldsIt(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, other := newConnected(t, q, redlock.Config{}), newConnected(t, q, redlock.Config{TTL: time.Minute})
		resource := q.Resource(t)
		for name, take := range map[string]func() *redlock.Lock{
			"of another manager": func() *redlock.Lock { return mustTry(t, other, resource) },
			"without expiry":     func() *redlock.Lock { return mustTry(t, other, resource, redlock.WithNoExpiry()) },
			"its own":            func() *redlock.Lock { return mustTry(t, m, resource) },
			"a given token":      func() *redlock.Lock { return mustTry(t, m, resource, redlock.WithToken("mine")) },
		} {
			lock := take()
			q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
			if err := m.ForceUnlock(t.Context(), resource); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			q.WantFree(t, resource, 5*time.Second)
			if name == "its own" || name == "a given token" {
				wantOver(t, lock, redlock.ErrLost)
				continue
			}
			_, err := lock.IsHeld(t.Context())
			wantMatch(t, err, redlock.ErrLost)
		}
		if err := m.ForceUnlock(t.Context(), resource); err != nil {
			t.Errorf("a free one: %v", err)
		}
	})
}

func TestForceUnlockDropsEveryTokenThatANodeKeeps(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		m, resource := newConnected(t, q, redlock.Config{}), q.Resource(t)
		for i, token := range []string{"one", "another", "with a fence\x1f12", "one", ""} {
			only := Quorum{Servers: q.Servers[i : i+1]}
			only.Take(t, 1, resource, token, 0)
		}
		if err := m.ForceUnlock(t.Context(), resource); err != nil {
			t.Error(err)
		}
		for i, s := range q.Servers {
			if n := s.Client.Exists(t.Context(), resource).Val(); n != 0 {
				t.Errorf("server %d has it", i)
			}
		}
	})
}

func TestForceUnlockHitsNoHolderThatComesAfterItHasLooked(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.Take(t, 3, resource, "the old one", time.Minute)
		for i, p := range e.proxies { // its releases are held up until somebody else has it
			looked := false
			p.Handle(func(m proxy.Message) proxy.Action {
				if m.Direction == proxy.ToServer && m.Name == "EVALSHA" {
					if looked {
						return proxy.Hold
					}
					looked = true
				}
				return proxy.Pass
			})
			e.before[i] = len(p.Commands())
		}
		e.whenSent(t, func() {
			e.Take(t, 3, resource, "the next one", time.Minute)
			for _, p := range e.proxies {
				p.Handle(nil)
				p.Release()
			}
		}, "EVALSHA", 2, 0, 1, 2)
		if err := e.m.ForceUnlock(t.Context(), resource); err != nil {
			t.Error(err)
		}
		e.WantEverywhere(t, resource, "the next one", 0)
	})
}

func TestForceUnlockNeedsTheWordOfAMajority(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.Take(t, 3, resource, "mine", time.Minute)
		e.cutOff(2)
		if err := e.m.ForceUnlock(t.Context(), resource); err != nil {
			t.Errorf("without a minority: %v", err)
		}
		e.WantValues(t, resource, 0, "", "", "mine")
		e.Take(t, 3, resource, "mine", time.Minute)
		e.holdReplies("", 1)
		took := timed(func() {
			wantMatch(t, e.m.ForceUnlock(t.Context(), resource), redlock.ErrNoQuorum)
		})
		if took < nodeTimeout || took > 2*nodeTimeout+soon {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAWaiterGetsTheLockThatWasForced(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := newConnected(t, q, redlock.Config{TTL: time.Minute}), q.Resource(t)
		mustTry(t, m, resource, redlock.WithNoExpiry())
		waiter := newConnected(t, q, redlock.Config{TTL: time.Minute})
		got := make(chan error, 1)
		go func() {
			_, err := waiter.Lock(context.Background(), resource)
			got <- err
		}()
		time.Sleep(500 * time.Millisecond) // it is refused, and waits
		if err := m.ForceUnlock(t.Context(), resource); err != nil {
			t.Error(err)
		}
		select {
		case err := <-got:
			wantMatch(t, err, nil)
		case <-time.After(10 * time.Second):
			t.Error("the waiter waits")
		}
	})
}

func TestForceUnlockAllDropsEveryResourceUnderAPrefixOnce(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		m, other := newConnected(t, q, redlock.Config{}), newConnected(t, q, redlock.Config{TTL: time.Minute})
		prefix := q.Resource(t) + ":"
		const many = 1200 // more than one answer of SCAN
		for _, s := range q.Servers {
			pipe := s.Client.Pipeline()
			for i := range many {
				pipe.Set(t.Context(), fmt.Sprint(prefix, i), "somebody's", time.Minute)
			}
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		only := Quorum{Servers: q.Servers[1:2]}
		only.Take(t, 1, prefix+"on one node alone", "mine", time.Minute)
		beside := mustTry(t, other, strings.TrimSuffix(prefix, ":"))
		ours, theirs := mustTry(t, m, prefix+"ours"), mustTry(t, other, prefix+"theirs")
		wantDropped(t, m, prefix, many+3)
		wantOver(t, ours, redlock.ErrLost)
		_, err := theirs.IsHeld(t.Context())
		wantMatch(t, err, redlock.ErrLost)
		if held, err := beside.IsHeld(t.Context()); !held {
			t.Errorf("a resource beside the prefix: %v", err)
		}
		for _, s := range q.Servers {
			left, err := s.Client.Keys(t.Context(), strings.NewReplacer("/", "?", "#", "?").Replace(prefix)+"*").Result()
			if err != nil || len(left) > 0 {
				t.Errorf("%s has %q, %v", s.Addr, left, err)
			}
		}
		wantDropped(t, m, prefix, 0)
	})
}

func TestAPrefixIsTakenLiterally(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := newConnected(t, q, redlock.Config{})
		for _, glob := range []string{
			"*", "?", "a*", "[a-z]", "[^a]", "[", "]", "a-", "^", `\`, `\*`, `a\`, `\\*`, "ü*", "\xff?", "a\n*", "\x00*", `"*`,
		} {
			resource := q.Resource(t)
			for prefix, beside := range map[string]string{
				resource + glob: resource + "abc", glob + resource: "abc" + resource,
			} {
				q.Take(t, 3, beside, "somebody's", time.Minute)
				q.Take(t, 3, prefix, "mine", time.Minute)
				q.Take(t, 2, prefix+"1", "mine", time.Minute)
				wantDropped(t, m, prefix, 2)
				q.WantEverywhere(t, beside, "somebody's", 0)
			}
		}
	})
}

func TestForceUnlockAllTakesStringsOnlyAndLeavesTheLibrarysOwnKeys(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := newConnected(t, q, redlock.Config{KeyPrefix: "redlock:"})
		suffix := q.Resource(t)
		own, list, long := "redlock:{"+suffix, "redlock:"+suffix+" list", "redlock:"+suffix+" long"
		q.Take(t, 3, own, "the library's own", time.Minute)
		q.Take(t, 3, long, strings.Repeat("x", 5000), time.Minute)
		for _, s := range q.Servers {
			if err := s.Client.RPush(t.Context(), list, "no", "lock").Err(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Client.Del(context.Background(), list) })
		}
		lock := mustTry(t, m, suffix+" lock")
		wantDropped(t, m, suffix, 1)
		wantOver(t, lock, redlock.ErrLost)
		for _, prefix := range []string{"{", "{" + suffix} {
			_, err := m.ForceUnlockAll(t.Context(), prefix)
			wantConfigError(t, err, "prefix")
		}
		for _, key := range []string{own, list, long} {
			for _, s := range q.Servers {
				if n := s.Client.Exists(t.Context(), key).Val(); n != 1 {
					t.Errorf("%s has lost %q", s.Addr, key)
				}
			}
		}
	})
}

func TestForceUnlockAllOfEverythingIsRefused(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		_, err := e.m.ForceUnlockAll(t.Context(), "")
		if wantConfigError(t, err, "prefix"); e.sentAny() != 0 {
			t.Error("the nodes were asked")
		}
		// With a KeyPrefix an empty prefix is all that is under it.
		prefix := e.Resource(t) + ":"
		m := newConnected(t, e.Quorum, redlock.Config{KeyPrefix: prefix, TTL: time.Minute})
		beside := e.mustTake(t)
		for i := range 3 {
			mustTry(t, m, fmt.Sprint(i))
		}
		wantDropped(t, m, "", 3)
		if held, err := beside.IsHeld(t.Context()); !held {
			t.Error(err)
		}
	})
}

func TestForceUnlockAllNamesTheNodesThatItCannotReachAndDropsTheRest(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.Take(t, 3, resource, "mine", time.Minute)
		e.cutOff(2)
		n, err := e.m.ForceUnlockAll(t.Context(), resource)
		var failed *redlock.NodeError
		if n != 1 || !errors.As(err, &failed) || failed.Node != e.Nodes[2].String() {
			t.Errorf("got %d, %v", n, err)
		}
		wantNoMatch(t, err, redlock.ErrNoQuorum)
		e.WantValues(t, resource, 0, "", "", "mine")
		// A node that fails half-way: its scan is not answered.
		e.Take(t, 2, resource, "mine", time.Minute)
		e.proxies[1].Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToClient && m.Name == "SCAN" {
				return proxy.Reset
			}
			return proxy.Pass
		})
		n, err = e.m.ForceUnlockAll(t.Context(), resource)
		wantMatch(t, err, redlock.ErrNoQuorum)
		for _, name := range []string{e.Nodes[1].String(), e.Nodes[2].String()} {
			if n != 1 || !strings.Contains(fmt.Sprint(err), name) {
				t.Errorf("got %d, %v", n, err)
			}
		}
	})
}

func TestForceUnlockAllEndsWithItsContextAndSaysWhatWasDropped(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.Take(t, 3, resource, "mine", time.Minute)
		e.holdReplies("SCAN", 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			_ = await(10*time.Second, func() error { return e.checkValues(t, resource, "", "", "") })
			cancel()
		}()
		var n int
		var err error
		took := timed(func() { n, err = e.m.ForceUnlockAll(ctx, resource) })
		wantMatch(t, err, context.Canceled)
		if n != 1 || took > slow.NodeTimeout {
			t.Errorf("got %d after %v", n, took)
		}
	})
}
