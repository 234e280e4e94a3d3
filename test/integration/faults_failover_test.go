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

// following is how soon a node votes with the new master once Sentinel names it:
// the address is asked for every second, and connecting takes up to another.
const following = comingBack + time.Second

// A failover comes in three ways: the master dies, it is stopped, or it is told.
func TestALockSurvivesTheFailoverOfOneNodeAndTheNodeVotesWithTheNewMaster(t *testing.T) {
	t.Parallel()
	ways := append([]absence{{"told", nil, nil}}, absences...)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			rowsBehindSentinel(t, quicklyReplaced, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
				nameConnections(t, q, s)
				m := newConnected(t, q, briskly)
				held := mustTry(t, m, q.Resource(t))
				q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
				group, old := s.Groups[0], s.Groups[0].Master(t)
				if way.leave == nil {
					group.Failover(t)
				} else {
					way.leave(old, t)
					group.AwaitFailover(t, old)
				}
				renamed := group.Master(t)
				if err := held.Extend(t.Context(), 0); err != nil {
					t.Errorf("extending after the failover: %v", err)
				}
				wantVoteOf(t, q, m, renamed, following)
				if !connectedTo(renamed) {
					t.Error("the library's connection to the new master has lost its name")
				}
				if way.back != nil {
					way.back(old, t)
				}
				wantNoConnectionTo(t, old)
				q.Servers[0] = renamed
				wantHeld(t, q, m, held)
			})
		})
	}
}

// connectionName tells the library's connections from the test's.
const connectionName = "voter"

// nameConnections makes the library's connections known by name.
func nameConnections(t *testing.T, q *Quorum, s *servers.Sentinels) {
	t.Helper()
	for i, group := range s.Groups {
		node, err := redlock.ParseNode(fmt.Sprintf("redis://%s?master=%s&client_name=%s",
			strings.Join(s.Addrs(), ","), group.Name, connectionName))
		if err != nil {
			t.Fatal(err)
		}
		q.Nodes[i] = node
	}
}

// wantNoConnectionTo fails the test if the library uses the server s, now or in the
// time that Sentinel takes to make a replica of a master that has come back.
func wantNoConnectionTo(t *testing.T, s *servers.Server) {
	t.Helper()
	var replicated time.Time
	eventually(t, 15*time.Second, func() error {
		if connectedTo(s) {
			t.Fatal("the library is connected to the master that was replaced")
		}
		info, err := s.Client.Info(t.Context(), "replication").Result()
		switch {
		case err != nil:
			return err
		case !strings.Contains(info, "role:slave"):
			return errors.New("the old master was not made a replica")
		case replicated.IsZero():
			replicated = time.Now()
		}
		if time.Since(replicated) < time.Second {
			return errors.New("it has been a replica for less than a second")
		}
		return nil
	})
}

// connectedTo reports whether s has a connection of the library. A server that does
// not answer, as one that Sentinel has drop its clients, is asked again later.
func connectedTo(s *servers.Server) bool {
	clients, _ := s.Client.Do(context.Background(), "CLIENT", "LIST").Text()
	return strings.Contains(clients, " name="+connectionName+" ")
}

// withReplicas makes three masters with a replica each of six servers. The masters
// are the nodes, and a vote of theirs needs their replica.
func withReplicas(t *testing.T, test func(t *testing.T, q *Quorum, replicas []*servers.Server)) {
	options := servers.Options{Config: []string{"repl-diskless-sync-delay 0", "repl-ping-replica-period 1"}}
	rowsWith(t, 6, options, func(t *testing.T, q *Quorum) {
		replicas := q.Servers[3:]
		q.Servers, q.Nodes = q.Servers[:3], q.Nodes[:3]
		for i, master := range q.Servers {
			q.Nodes[i].Replicas = 1
			if err := replicas[i].Client.Do(t.Context(), "REPLICAOF", "127.0.0.1", master.Port).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for _, master := range q.Servers {
			eventually(t, 15*time.Second, func() error {
				info, err := master.Client.Info(t.Context(), "replication").Result()
				if err == nil && !strings.Contains(info, "state=online") {
					err = errors.New("the replica is not online")
				}
				return err
			})
		}
		test(t, q, replicas)
	})
}

func TestAVoteWhoseReplicaIsSilentDoesNotCount(t *testing.T) {
	t.Parallel()
	withReplicas(t, func(t *testing.T, q *Quorum, replicas []*servers.Server) {
		m := newConnected(t, q, brief)
		held := wantLock(t, m, q.Resource(t), 30*time.Second)
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)

		replicas[0].Pause(t)
		minority := mustTry(t, m, q.Resource(t))
		if err := held.Extend(t.Context(), 0); err != nil {
			t.Errorf("extending with one silent replica: %v", err)
		}
		mustUnlock(t, minority)

		replicas[1].Pause(t)
		resource, until := q.Resource(t), held.Until()
		for name, call := range map[string]func() error{
			"TryLock": func() error { _, err := m.TryLock(t.Context(), resource); return err },
			"Extend":  func() error { return held.Extend(t.Context(), 2*time.Minute) },
		} {
			err := inTime(t, name, nodeTimeout+soon, call)
			wantNoQuorumOf(t, name, err, q, 0, 1)
		}
		if !held.Valid() || !held.Until().Equal(until) {
			t.Errorf("the lock is valid until %v (%v), want %v", held.Until(), held.Err(), until)
		}

		for _, replica := range replicas[:2] {
			replica.Continue(t)
		}
		ctx, cancel := context.WithTimeout(t.Context(), comingBack)
		defer cancel()
		again, err := m.Lock(ctx, resource)
		if err != nil {
			t.Fatalf("with the replicas back: %v", err)
		}
		q.WantEverywhere(t, resource, again.Token(), 2*time.Second)
		mustUnlock(t, again)
		q.WantFree(t, resource, 5*time.Second)
		q.WantFree(t, minority.Resource(), 5*time.Second)
		wantHeld(t, q, m, held)
	})
}

// The grant that did not count is a key all the same, and has to go.
func TestAGrantThatNoReplicaConfirmedLeavesNoKey(t *testing.T) {
	t.Parallel()
	withReplicas(t, func(t *testing.T, q *Quorum, replicas []*servers.Server) {
		m := q.New(t, redlock.Config{NodeTimeout: 300 * time.Millisecond, TTL: time.Minute})
		for _, replica := range replicas {
			replica.Pause(t)
		}
		resource := q.Resource(t)
		_, err := m.TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, redlock.ErrTaken)
		if n := len(nodeErrors(err)); n < 2 { // two that fail decide: the third is not waited for
			t.Errorf("%d nodes are named in %v", n, err)
		}
		q.WantFree(t, resource, 5*time.Second) // on the masters, before the replicas go on
		for _, replica := range replicas {
			replica.Continue(t)
		}
		for _, s := range q.Servers {
			wantVoteOf(t, q, m, s, comingBack)
		}
		q.WantFree(t, resource, time.Second)
		for i, replica := range replicas {
			if n, err := replica.Client.Exists(t.Context(), resource).Result(); err != nil || n != 0 {
				t.Errorf("replica %d has kept the key: %d (%v)", i, n, err)
			}
		}
	})
}

// WAIT is given three quarters of the node timeout of the manager's TTL, far less than
// the call's own here: its answer, that nobody has confirmed, is in time.
func TestAGrantCountsOnlyWhenTheReplicasConfirmIt(t *testing.T) {
	t.Parallel()
	withReplicas(t, func(t *testing.T, q *Quorum, replicas []*servers.Server) {
		m, err := redlock.New(redlock.Config{Nodes: q.Nodes, TTL: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, replica := range replicas[1:] {
			replica.Pause(t)
		}
		eventually(t, 10*time.Second, func() error {
			lock, err := m.TryLock(t.Context(), q.Resource(t), redlock.WithTTL(20*time.Second))
			if err == nil {
				t.Fatalf("got %v, which one of three nodes has confirmed", lock)
			}
			if strings.Count(err.Error(), "not confirmed by its replicas") != 2 {
				return err // late, on a busy machine
			}
			return nil
		})
		for _, replica := range replicas[1:] {
			replica.Continue(t)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
}
