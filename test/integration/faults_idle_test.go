package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// A close of one server may cross a command, and cost its vote. That two closes
// cross the same call is too rare to be seen; that every pause costs votes is not.
func TestAServersIdleTimeoutCostsNoCallAndAlmostNoVote(t *testing.T) {
	t.Parallel()
	options := servers.Options{Config: []string{"timeout 1"}}
	rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{})
		const rounds = 4
		whole := 0
		for range rounds {
			lock := mustTry(t, m, q.Resource(t))
			votes := 0
			for _, s := range q.Servers {
				if keptSoon(t, s, lock) == nil {
					votes++
				}
			}
			if votes == len(q.Servers) {
				whole++
			}
			mustUnlock(t, lock)
			time.Sleep(2500 * time.Millisecond) // idle for longer than the server bears
		}
		if whole < rounds-1 {
			t.Errorf("all servers voted in %d of %d rounds", whole, rounds)
		}
	})
}

func TestAfterAnIdleMinuteALockIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	options := servers.Options{Config: []string{"timeout 20"}}
	rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := newConnected(t, q, redlock.Config{NodeTimeout: patience})
		time.Sleep(30 * time.Second)
		for _, p := range proxies {
			p.Silence() // as a firewall does that has forgotten the connection
		}
		time.Sleep(30 * time.Second)
		var lock *redlock.Lock
		err := inTime(t, "TryLock", time.Second, func() (err error) {
			lock, err = m.TryLock(t.Context(), q.Resource(t))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		q.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
		mustUnlock(t, lock)
	})
}

// It is given up after four node timeouts, and a quarter of a second to notice.
func TestAHalfOpenConnectionCostsVotesUntilItIsGivenUp(t *testing.T) {
	t.Parallel()
	t.Run("of a minority", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			m := newConnected(t, q, redlock.Config{NodeTimeout: 500 * time.Millisecond})
			held := mustTry(t, m, q.Resource(t))
			q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
			proxies[0].Silence()
			wantAllWorks(t, m, held, 2*time.Second)
			wantVoteOf(t, q, m, q.Servers[0], comingBack+2*time.Second)
			q.WantFree(t, held.Resource(), 5*time.Second)
		})
	})
	t.Run("of all nodes", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			m := newConnected(t, q, redlock.Config{NodeTimeout: 500 * time.Millisecond, TTL: lasting.TTL})
			held := mustTry(t, m, q.Resource(t))
			q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
			for _, p := range proxies {
				p.Silence()
			}
			resource := q.Resource(t)
			_, err := m.TryLock(t.Context(), resource)
			wantNoQuorumOf(t, "TryLock", err, q, 0, 1, 2)
			eventually(t, comingBack+2*time.Second, func() error { return held.Extend(t.Context(), 0) })
			mustUnlock(t, held)
			for _, s := range q.Servers {
				wantVoteOf(t, q, m, s, comingBack)
			}
			q.WantFree(t, held.Resource(), lasting.TTL/4)
			q.WantFree(t, resource, lasting.TTL/4)
		})
	})
}

func TestConnectionsThatTheServersKillCostOnlyTheCommandThatCrossesTheClose(t *testing.T) {
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{TTL: time.Minute})
		held := mustTry(t, m, q.Resource(t))
		for range 3 {
			// A server that hangs up on every client within a second counts as down.
			time.Sleep(1200 * time.Millisecond)
			for _, s := range q.Servers {
				killConnections(t, s)
			}
			// These may cross the close. What they lose is taken back. Ping waits for
			// every node: when it returns, each has answered or is known to be gone.
			resource := q.Resource(t)
			if crossing, err := m.TryLock(t.Context(), resource); err == nil {
				mustUnlock(t, crossing)
			}
			_ = m.Ping(t.Context())
			lock := mustTry(t, m, q.Resource(t))
			q.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
			mustUnlock(t, lock)
			q.WantFree(t, resource, 5*time.Second)
		}
		if err := held.Extend(t.Context(), 0); err != nil {
			t.Errorf("extending: %v", err)
		}
		mustUnlock(t, held)
	})
}

// killConnections ends every connection to s but the one that asks for it.
func killConnections(t *testing.T, s *servers.Server) {
	t.Helper()
	killed, err := s.Client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Int()
	if err == nil && killed == 0 {
		err = fmt.Errorf("%s has killed no connection", s.Addr)
	}
	if err != nil {
		t.Fatal(err)
	}
}
