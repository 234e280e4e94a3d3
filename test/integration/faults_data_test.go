package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// foreigners are values that are no lock of ours, and how to find them unchanged.
var foreigners = []struct {
	name string
	make func(ctx context.Context, c *redis.Client, key string) error
	find func(ctx context.Context, c *redis.Client, key string) int64
}{
	{
		"a list",
		func(ctx context.Context, c *redis.Client, key string) error { return c.RPush(ctx, key, "a", "b").Err() },
		func(ctx context.Context, c *redis.Client, key string) int64 { return c.LLen(ctx, key).Val() - 1 },
	},
	{
		"a hash",
		func(ctx context.Context, c *redis.Client, key string) error {
			return c.HSet(ctx, key, "field", "a").Err()
		},
		func(ctx context.Context, c *redis.Client, key string) int64 { return c.HLen(ctx, key).Val() },
	},
	{
		"a value without TTL",
		func(ctx context.Context, c *redis.Client, key string) error { return c.Set(ctx, key, "mine", 0).Err() },
		func(ctx context.Context, c *redis.Client, key string) int64 {
			if c.Get(ctx, key).Val() != "mine" || c.TTL(ctx, key).Val() != -1 {
				return 0
			}
			return 1
		},
	},
}

func TestWhatIsNoLockOfOursTakesTheResourceAndIsLeftAlone(t *testing.T) {
	for _, foreigner := range foreigners {
		t.Run(foreigner.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				ctx, m, resource := t.Context(), q.New(t, redlock.Config{}), q.Resource(t)
				place := func(s *servers.Server) {
					if err := foreigner.make(ctx, s.Client, resource); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { s.Client.Del(context.Background(), resource) })
				}
				place(q.Servers[0])
				wantAllWorks(t, m, mustTry(t, m, resource), 10*time.Second)

				place(q.Servers[1])
				for name, opts := range map[string][]redlock.LockOption{
					"a random token": nil, "a given token": {redlock.WithToken("mine too")},
				} {
					if _, err := m.TryLock(ctx, resource, opts...); !errors.Is(err, redlock.ErrTaken) ||
						errors.Is(err, redlock.ErrNoQuorum) {
						t.Errorf("with %s: got %v, want ErrTaken", name, err)
					}
				}
				if err := checkLocked(m, resource, true); err != nil {
					t.Errorf("IsLocked: %v", err)
				}
				for _, s := range q.Servers[:2] {
					if foreigner.find(ctx, s.Client, resource) != 1 {
						t.Errorf("%s on %s has been changed", foreigner.name, s.Addr)
					}
				}
			})
		})
	}
}

// wipes are how a server forgets a lock that is held.
var wipes = []struct {
	name string
	wipe func(t *testing.T, s *servers.Server)
}{
	{"flushed", func(t *testing.T, s *servers.Server) {
		if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}},
	{"evicted", func(t *testing.T, s *servers.Server) {
		ctx := t.Context()
		for _, setting := range [][2]string{{"maxmemory-policy", "allkeys-random"}, {"maxmemory", "1"}} {
			if err := s.Client.ConfigSet(ctx, setting[0], setting[1]).Err(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 10*time.Second, func() error {
			_ = s.Client.Set(ctx, "any", "1", 0).Err() // makes room first, and fails
			n, err := s.Client.DBSize(ctx).Result()
			if err == nil && n > 0 {
				err = errors.New("keys are left")
			}
			return err
		})
		if err := s.Client.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
			t.Fatal(err)
		}
	}},
}

func TestALockSurvivesOnAMajorityThatKeepsItAndIsLostWithIt(t *testing.T) {
	t.Parallel()
	for _, forgotten := range wipes {
		t.Run(forgotten.name, func(t *testing.T) {
			rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
				ctx, m := t.Context(), q.New(t, redlock.Config{TTL: time.Minute})
				held := mustTry(t, m, q.Resource(t))
				q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
				forgotten.wipe(t, q.Servers[0])
				if err := held.Extend(ctx, 0); err != nil {
					t.Errorf("two nodes keep the lock, and Extend returned %v", err)
				}
				q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second) // it was given back
				if _, err := m.TryLock(ctx, held.Resource()); !errors.Is(err, redlock.ErrTaken) {
					t.Errorf("another gets %v, want ErrTaken", err)
				}
				forgotten.wipe(t, q.Servers[0])
				forgotten.wipe(t, q.Servers[1])
				if err := held.Extend(ctx, 0); !errors.Is(err, redlock.ErrLost) {
					t.Errorf("one node keeps the lock, and Extend returned %v", err)
				}
				if err := held.Err(); !errors.Is(err, redlock.ErrLost) {
					t.Errorf("the lock's Err is %v, want ErrLost", err)
				}
				q.WantFree(t, held.Resource(), 5*time.Second)
			})
		})
	}
}
