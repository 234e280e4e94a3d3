package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// Quorum is what a row test works with: the nodes as the library is given them,
// and the servers behind them as the test sees them.
type Quorum struct {
	Kind    servers.Kind
	Servers []*servers.Server
	Nodes   []redlock.Node // what New hands to the library; a test may change it
}

func quorumOf(kind servers.Kind, running []*servers.Server) *Quorum {
	q := &Quorum{Kind: kind, Servers: slices.Clone(running)}
	for _, s := range running {
		q.Nodes = append(q.Nodes, redlock.Addr("127.0.0.1", s.Port))
	}
	return q
}

func quorumBehind(kind servers.Kind, s *servers.Sentinels) *Quorum {
	q := &Quorum{Kind: kind}
	for _, group := range s.Groups {
		q.Servers = append(q.Servers, group.Servers[0])
		q.Nodes = append(q.Nodes, redlock.Node{Sentinels: s.Addrs(), Master: group.Name})
	}
	return q
}

// patience is the node timeout of a test that is not about time.
const patience = 2 * time.Second

// resources makes names unique over repeated runs of a test in one process: the
// servers are shared.
var resources atomic.Int64

// Resource is a name that no other test uses.
func (q *Quorum) Resource(t testing.TB) string {
	return fmt.Sprintf("%s#%d", t.Name(), resources.Add(1))
}

// New makes a manager of the quorum's nodes, unless cfg names others, that gives a
// node on a busy machine [patience] to answer, unless cfg says how long. It is
// closed when the test ends, and must then have nothing unconfirmed: a test that
// leaves a node dead closes the manager itself.
func (q *Quorum) New(t testing.TB, cfg redlock.Config, opts ...redlock.Option) *redlock.Manager {
	t.Helper()
	if cfg.Nodes == nil {
		cfg.Nodes = q.Nodes
	}
	cfg.NodeTimeout = cmp.Or(cfg.NodeTimeout, patience)
	m, err := redlock.New(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
	})
	return m
}

// Proxies puts a proxy before each node, in order, for managers made from now on.
func (q *Quorum) Proxies(t testing.TB) []*proxy.Proxy {
	t.Helper()
	proxies := make([]*proxy.Proxy, len(q.Servers))
	for i, s := range q.Servers {
		proxies[i] = proxy.Start(t, s.Addr)
		q.Nodes[i] = redlock.Addr("127.0.0.1", proxies[i].Port)
	}
	return proxies
}

// Values are what the servers keep at key, in order; empty where there is none.
func (q *Quorum) Values(t testing.TB, key string) []string {
	t.Helper()
	values := make([]string, len(q.Servers))
	for i, s := range q.Servers {
		value, err := s.Client.Get(t.Context(), key).Result()
		if values[i] = value; errors.Is(err, redis.Nil) {
			err = nil
		}
		if err != nil {
			t.Fatalf("looking at %q on %s: %v", key, s.Addr, err)
		}
	}
	return values
}

// Take writes value at key on the first n servers, as another client would. What
// is left of it goes with the test.
func (q *Quorum) Take(t testing.TB, n int, key, value string, ttl time.Duration) {
	t.Helper()
	for _, s := range q.Servers[:n] {
		if err := s.Client.Set(t.Context(), key, value, ttl).Err(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Client.Del(context.Background(), key) })
	}
}

// WantValues fails unless, within the given time, the servers keep these values at
// key, in order: a call returns when a majority has answered.
func (q *Quorum) WantValues(t testing.TB, key string, within time.Duration, want ...string) {
	t.Helper()
	eventually(t, within, func() error { return q.checkValues(t, key, want...) })
}

func (q *Quorum) checkValues(t testing.TB, key string, want ...string) error {
	t.Helper()
	if values := q.Values(t, key); !slices.Equal(values, want) {
		return fmt.Errorf("the servers keep %q at %q, want %q", values, key, want)
	}
	return nil
}

// WantEverywhere fails unless, within the given time, every server keeps value at
// key.
func (q *Quorum) WantEverywhere(t testing.TB, key, value string, within time.Duration) {
	t.Helper()
	q.WantValues(t, key, within, slices.Repeat([]string{value}, len(q.Servers))...)
}

// WantFree fails unless, within the given time, no server has key any more.
func (q *Quorum) WantFree(t testing.TB, key string, within time.Duration) {
	t.Helper()
	q.WantEverywhere(t, key, "", within)
}

// eventually repeats check until it returns nil, and fails with what it returned
// last when the time is over.
func eventually(t testing.TB, within time.Duration, check func() error) {
	t.Helper()
	if err := await(within, check); err != nil {
		t.Fatalf("after %v: %v", within, err)
	}
}

// await repeats check until it returns nil or the time is over. It returns what
// check returned last.
func await(within time.Duration, check func() error) error {
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}
