package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// Sentinels are asked where to connect, and while connected whether that is
// still right: no answer is no reason to leave.
func TestSentinelsThatAreAllDownCostNoLockAndNoVote(t *testing.T) {
	t.Parallel()
	rowsBehindSentinel(t, threeMasters, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		m := newConnected(t, q, briskly)
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), time.Second)
		for _, sentinel := range s.Servers {
			sentinel.Kill(t)
		}
		for range 3 { // longer than the second after which they are asked again
			time.Sleep(time.Second)
			if err := held.Extend(t.Context(), 0); err != nil {
				t.Errorf("extending: %v", err)
			}
			for _, master := range q.Servers {
				wantVoteOf(t, q, m, master, 2*time.Second)
			}
		}

		// Who knows no master yet is told which nodes are missing.
		stranger := q.New(t, briskly)
		resource := q.Resource(t)
		err := inTime(t, "TryLock", briskly.NodeTimeout+2*time.Second, func() error {
			_, err := stranger.TryLock(t.Context(), resource)
			return err
		})
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, redlock.ErrTaken)
		named := map[string]bool{}
		for _, node := range nodeErrors(err) {
			named[node.Node] = true
		}
		if len(named) < 2 { // a majority decides
			t.Errorf("got %v, which names %v", err, named)
		}
		for _, sentinel := range s.Servers {
			sentinel.Restart(t)
		}
		for _, master := range q.Servers {
			wantVoteOf(t, q, stranger, master, following)
		}
		q.WantFree(t, resource, 5*time.Second)
		wantHeld(t, q, m, held)
	})
}

// awaitRenamed returns when a Sentinel names another master than old.
func awaitRenamed(t *testing.T, sentinel *servers.Server, group string, old *servers.Server) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if address := namedBy(t, sentinel, group); address == old.Addr || address == "" {
			return fmt.Errorf("Sentinel %s names %q", sentinel.Addr, address)
		}
		return nil
	})
}

// namedBy is the address of the group's master as a Sentinel has it.
func namedBy(t *testing.T, sentinel *servers.Server, group string) string {
	address, _ := sentinel.Client.Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", group).StringSlice()
	return strings.Join(address, ":")
}

// One of three sleeps through a failover. Then it is the only one that answers,
// and what it says is out of date.
func TestASentinelThatHasMissedAFailoverIsNotBelieved(t *testing.T) {
	t.Parallel()
	rowsBehindSentinel(t, threeMasters, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		nameConnections(t, q, s)
		m := newConnected(t, q, briskly)
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), time.Second)
		group, stale := s.Groups[0], s.Servers[2]
		old, renamed := group.Servers[0], group.Servers[1]
		stale.Kill(t)
		if err := s.Servers[0].Client.Do(t.Context(), "SENTINEL", "FAILOVER", group.Name).Err(); err != nil {
			t.Fatal(err)
		}
		for _, sentinel := range s.Servers[:2] {
			awaitRenamed(t, sentinel, group.Name, old)
		}
		q.Servers[0] = renamed
		wantVoteOf(t, q, m, renamed, 10*time.Second)
		wantNoConnectionTo(t, old)
		for _, sentinel := range s.Servers[:2] {
			sentinel.Pause(t)
		}
		stale.Restart(t)

		stranger := q.New(t, briskly)
		for range 4 {
			time.Sleep(time.Second)
			if address := namedBy(t, stale, group.Name); address != old.Addr {
				t.Errorf("Sentinel names %q: nothing is shown", address)
			}
			wantVoteOf(t, q, m, renamed, 2*time.Second)
			// Two masters are who they were: that is a majority. The third is
			// no master.
			lock := wantLock(t, stranger, q.Resource(t), 10*time.Second)
			mustUnlock(t, lock)
			wantLeft(t, old)
		}
		for _, sentinel := range s.Servers[:2] {
			sentinel.Continue(t)
		}
		wantVoteOf(t, q, stranger, renamed, 15*time.Second)
		wantHeld(t, q, m, held)
	})
}

// wantLeft fails the test if the library does not leave a server alone. It may
// connect to ask what the server is.
func wantLeft(t *testing.T, s *servers.Server) {
	t.Helper()
	eventually(t, following, func() error {
		if connectedTo(s) {
			return errors.New("the library uses the master that was replaced")
		}
		return nil
	})
}

// The old master is cut off from its Sentinels and not from its clients: for
// them it is a master like before, and there are two.
func TestOfTwoMastersOfASplitBrainTheOldOneVotesNoLonger(t *testing.T) {
	t.Parallel()
	rowsBehindSentinel(t, quicklyReplaced, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		nameConnections(t, q, s)
		m, other := newConnected(t, q, briskly), newConnected(t, q, briskly)
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), time.Second)
		group := s.Groups[0]
		old, renamed := group.Servers[0], group.Servers[1]
		cutOff(t, old)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		taken := make(chan error, 1)
		go func() { taken <- takeUntil(ctx, other, held.Resource()) }()
		group.AwaitFailover(t, old)
		q.Servers[0] = renamed
		wantVoteOf(t, q, m, renamed, following)
		wantVoteOf(t, q, other, renamed, following)
		info, err := old.Client.Info(t.Context(), "replication").Result()
		if err != nil || !strings.Contains(info, "role:master") {
			t.Errorf("the old master is none any more: nothing is shown (%v)\n%s", err, info)
		}
		wantLeft(t, old)
		if err := held.Extend(t.Context(), 0); err != nil {
			t.Errorf("extending: %v", err)
		}
		stop()
		if err := <-taken; err != nil {
			t.Error(err)
		}
		// What the old master keeps of this lock lapses there: nobody may ask
		// it.
		wantHeld(t, q, m, held)
	})
}

// cutOff makes a server refuse its Sentinels. Its other clients stay logged in.
func cutOff(t *testing.T, s *servers.Server) {
	t.Helper()
	ctx := t.Context()
	for _, step := range [][]any{
		{"CONFIG", "SET", "requirepass", "nobody knows it"},
		{"CLIENT", "KILL", "TYPE", "pubsub"},
	} {
		if err := s.Client.Do(ctx, step...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	clients, err := s.Client.ClientList(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(clients) {
		if id := strings.TrimPrefix(strings.Fields(line)[0], "id="); strings.Contains(line, " name=sentinel-") {
			_ = s.Client.Do(ctx, "CLIENT", "KILL", "ID", id).Err() // or it has gone by itself
		}
	}
}

// takeUntil tries to take what somebody holds, again and again until ctx ends,
// and returns an error if it is won.
func takeUntil(ctx context.Context, m *redlock.Manager, resource string) error {
	for ctx.Err() == nil {
		if lock, err := m.TryLock(ctx, resource); err == nil {
			return fmt.Errorf("%v was won by another", lock)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
