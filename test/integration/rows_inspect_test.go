package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// wantRemains fails unless left is what remains of ttl soon after it was set.
func wantRemains(t testing.TB, what string, left, ttl time.Duration) {
	t.Helper()
	if left > ttl || left < ttl-15*time.Second {
		t.Errorf("%s: %v are left of %v", what, left, ttl)
	}
}

func TestInspectTellsWhoHoldsAResourceByMajorityAndNodeByNode(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{Owner: "worker 7", TTL: time.Minute}), resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		q.Servers[2].Client.Set(t.Context(), resource, "another's", 0)
		m := connected(t, q.New(t, redlock.Config{}))
		state, err := m.Inspect(t.Context(), resource)
		if err != nil || state.Resource != resource || !state.Locked || state.Token != lock.Token() ||
			state.Owner != "worker 7" || state.Fence != 0 || len(state.Nodes) != 3 {
			t.Fatalf("got %+v, %v", state, err)
		}
		wantRemains(t, "a majority", state.Remaining, time.Minute)
		for i, node := range state.Nodes {
			token, owner := lock.Token(), "worker 7"
			if i == 2 {
				token, owner = "another's", ""
			}
			if node.Node != q.Servers[i].Addr || node.Token != token || node.Owner != owner || node.Err != nil {
				t.Errorf("node %d: got %+v", i, node)
			}
		}
		wantRemains(t, "a node", state.Nodes[1].Remaining, time.Minute)
		if state.Nodes[2].Remaining >= 0 {
			t.Errorf("what does not expire has %v left", state.Nodes[2].Remaining)
		}
		q.Servers[2].Client.Del(t.Context(), resource)
		mustUnlock(t, lock)
		q.WantFree(t, resource, 5*time.Second)
		if state, err := m.Inspect(t.Context(), resource); err != nil || state.Locked || state.Token != "" {
			t.Errorf("when it is free: got %+v, %v", state, err)
		}
	})
}

func TestWhatRemainsOfALockIsWhatAMajorityKeepsOfIt(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		m, resource := connected(t, q.New(t, redlock.Config{})), q.Resource(t)
		for i, ttl := range []time.Duration{time.Hour, time.Minute, 0, 3 * time.Hour, 2 * time.Hour} {
			only := Quorum{Servers: q.Servers[i : i+1]}
			only.Take(t, 1, resource, "mine", ttl)
		}
		state, err := m.Inspect(t.Context(), resource)
		if err != nil || state.Token != "mine" {
			t.Errorf("got %+v, %v", state, err)
		}
		wantRemains(t, "the third of five", state.Remaining, 2*time.Hour)
		q.Take(t, 3, resource, "mine", 0)
		if state, err = m.Inspect(t.Context(), resource); err != nil || state.Remaining >= 0 {
			t.Errorf("a majority keeps it for ever: got %+v, %v", state, err)
		}
	})
}

func TestWhatIsNoLockIsSaidToBeNoneAndPutsNoConnectionOutOfStep(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		connections := func() (n int) {
			for _, p := range proxies {
				n += p.Count("INFO") // each is asked once what its server is
			}
			return n
		}
		m, resource := connected(t, q.New(t, redlock.Config{})), q.Resource(t)
		q.Take(t, 2, resource, strings.Repeat("x", 1<<20), time.Minute)
		q.Servers[1].Client.Del(t.Context(), resource)
		if err := q.Servers[1].Client.RPush(t.Context(), resource, "no", "lock").Err(); err != nil {
			t.Fatal(err)
		}
		q.Servers[2].Client.Set(t.Context(), resource, "mine\x1f17", time.Minute)
		before := connections()
		state, err := m.Inspect(t.Context(), resource)
		if err != nil || !state.Locked || state.Token != "" {
			t.Errorf("got %+v, %v", state, err)
		}
		for i, node := range state.Nodes {
			if noLock := i < 2; (node.Err != nil) != noLock || (node.Token != "") == noLock {
				t.Errorf("node %d: got %+v", i, node)
			}
		}
		if token := state.Nodes[2].Token; token != "mine" {
			t.Errorf("before the fence stands %q", token)
		}
		wantMatch(t, m.ForceUnlock(t.Context(), resource), redlock.ErrNoQuorum)
		mustUnlock(t, mustTry(t, m, q.Resource(t)))
		settled(t, m)
		if after := connections(); after != before {
			t.Errorf("%d connections were made, and %d afterwards", before, after-before)
		}
	})
}

func TestInspectWithoutAMajorityReturnsWhatItHasAndErrNoQuorum(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.Take(t, 3, resource, "mine", time.Minute)
		e.cutOff(0)
		state, err := e.m.Inspect(t.Context(), resource)
		if err != nil || state.Token != "mine" || state.Nodes[0].Err == nil {
			t.Errorf("without a minority: got %+v, %v", state, err)
		}
		e.holdReplies("", 1)
		took := timed(func() { state, err = e.m.Inspect(t.Context(), resource) })
		wantMatch(t, err, redlock.ErrNoQuorum)
		if state.Locked || state.Token != "" || state.Nodes[2].Token != "mine" || state.Nodes[1].Err == nil {
			t.Errorf("without a majority: got %+v", state)
		}
		if took < nodeTimeout/2 || took > nodeTimeout+soon {
			t.Errorf("it took %v", took)
		}
	})
}
