package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// What went wrong in other libraries while a lock was taken.

func TestAFailedAttemptIsReleasedBeforeTheNext(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		const tries = 4
		proxies, resource := q.Proxies(t), q.Resource(t)
		m := connected(t, q.New(t, redlock.Config{TTL: time.Minute}))
		q.Take(t, 2, resource, "someone", time.Minute)
		third := q.Servers[2].Client
		pauses := 0
		_, err := m.Lock(t.Context(), resource, redlock.WithAttempts(tries),
			redlock.WithBackoff(func(int) time.Duration {
				pauses++
				eventually(t, 5*time.Second, func() error {
					// Each attempt is followed by its release.
					if n := proxies[2].Count("SET") + proxies[2].Count("EVALSHA"); n != 2*pauses {
						return fmt.Errorf("the third node was sent %d commands for %d attempts", n, pauses)
					}
					switch n, err := third.Exists(t.Context(), resource).Result(); {
					case err != nil:
						return err
					case n != 0:
						return fmt.Errorf("attempt %d has left its key", pauses)
					}
					return nil
				})
				return 0
			}))
		wantMatch(t, err, redlock.ErrTaken)
		if pauses != tries-1 {
			t.Errorf("there were %d pauses between %d attempts", pauses, tries)
		}
		settled(t, m)
		if n := proxies[2].Count("SET") + proxies[2].Count("EVALSHA"); n != 2*tries {
			t.Errorf("the third node was sent %d commands for %d attempts", n, tries)
		}
	})
}

func TestAWaitEndsWithItsDeadlineHoweverLongThePausesAre(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{RetryDelayMin: 5 * time.Second, RetryDelayMax: 5 * time.Second})
		connected(t, m)
		resource := q.Resource(t)
		q.Take(t, 3, resource, "someone", time.Minute)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Lock(ctx, resource)
		wantMatch(t, err, redlock.ErrTaken, context.DeadlineExceeded)
		if took := time.Since(start); took < time.Second || took > 3*time.Second {
			t.Errorf("it took %v with a deadline of 1s", took)
		}
	})
}

// loseFirstReply loses the first reply to the command called name on each proxy,
// and the connection with it.
func loseFirstReply(name string, proxies ...*proxy.Proxy) {
	for _, p := range proxies {
		lost := false // a rule is asked by one message at a time
		p.Handle(func(m proxy.Message) proxy.Action {
			if lost || m.Direction != proxy.ToClient || m.Name != name {
				return proxy.Pass
			}
			lost = true
			return proxy.Reset
		})
	}
}

func TestALostReplyDoesNotMakeALockSeemSomebodyElses(t *testing.T) {
	t.Run("through the library's own connections", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			m, resource := q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
			connected(t, m)
			loseFirstReply("SET", proxies[:2]...)
			_, err := m.TryLock(t.Context(), resource)
			wantMatch(t, err, redlock.ErrNoQuorum)
			wantNoMatch(t, err, redlock.ErrTaken)
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			lock, err := m.Lock(ctx, resource)
			if err != nil {
				t.Fatalf("its own lost try keeps it out: %v", err)
			}
			q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		})
	})
	t.Run("through a client that sends again", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			for i, p := range proxies {
				client := redis.NewClient(&redis.Options{Addr: p.Addr, MaxRetries: 3})
				t.Cleanup(func() { _ = client.Close() })
				q.Nodes[i] = redlock.Client(client)
			}
			// A copy may be executed late: Close looks after it for a TTL.
			m := q.New(t, redlock.Config{TTL: 5 * time.Second})
			connected(t, m)
			loseFirstReply("EVAL", proxies...)
			lock := mustTry(t, m, q.Resource(t))
			eventually(t, 5*time.Second, func() error {
				for i, p := range proxies {
					if n := p.Count("EVAL"); n < 2 {
						return fmt.Errorf("node %d was sent %d acquires: nothing was lost", i, n)
					}
				}
				return nil
			})
			q.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
		})
	})
}
