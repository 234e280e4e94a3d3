package integration

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// pooled is how many connections a client of halfDead has.
const pooled = 6

// Of the connections in the pool of an application's client every second one is
// dead, and nothing says which.
func TestAPoolThatIsHalfDeadCostsVotesUntilItsDeadConnectionsAreFound(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		var die []func()
		for i, p := range proxies {
			client := redis.NewClient(&redis.Options{Addr: p.Addr, PoolFIFO: true})
			t.Cleanup(func() { _ = client.Close() })
			q.Nodes[i] = redlock.Client(client)
			die = append(die, halfDead(t, client, p))
		}
		m := newConnected(t, q, redlock.Config{NodeTimeout: 500 * time.Millisecond, TTL: time.Minute})
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), time.Second)
		for _, d := range die {
			d()
		}
		var resources []string
		failed := 0
		eventually(t, time.Minute, func() error {
			for range 2 * pooled { // in a row: each connection has had its turn
				resources = append(resources, q.Resource(t))
				var lock *redlock.Lock
				err := inTime(t, "TryLock", 2500*time.Millisecond, func() (err error) {
					lock, err = m.TryLock(t.Context(), resources[len(resources)-1])
					return err
				})
				if err != nil {
					failed++
					wantMatch(t, err, redlock.ErrNoQuorum)
					wantNoMatch(t, err, redlock.ErrTaken)
					return err
				}
				if err := lock.Unlock(t.Context()); err != nil {
					return err
				}
			}
			return nil
		})
		if failed == 0 {
			t.Error("no call has met a dead connection: nothing is shown")
		}
		for _, resource := range resources {
			q.WantFree(t, resource, 10*time.Second)
		}
		wantHeld(t, q, m, held)
	})
}

// halfDead fills the client's pool and returns what makes half of it half-open:
// of the connections that there are by then, every second one that is used
// takes commands, which are executed, and never answers.
func halfDead(t *testing.T, client *redis.Client, p *proxy.Proxy) (die func()) {
	t.Helper()
	var conns []*redis.Conn
	for range pooled {
		conn := client.Conn()
		conns = append(conns, conn)
		if err := conn.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range conns {
		_ = conn.Close() // back to the pool
	}
	var newest atomic.Int64
	p.Handle(func(m proxy.Message) proxy.Action {
		newest.Store(max(newest.Load(), int64(m.Conn)))
		return proxy.Pass
	})
	return func() {
		last, dead := newest.Load(), map[int]bool{} // nobody else asks the rule meanwhile
		p.Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToServer || int64(m.Conn) > last {
				return proxy.Pass
			}
			if _, used := dead[m.Conn]; !used {
				dead[m.Conn] = len(dead)%2 == 0
			}
			if dead[m.Conn] {
				return proxy.Silence
			}
			return proxy.Pass
		})
	}
}
