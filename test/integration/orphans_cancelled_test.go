package integration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// reaped is how long a key that nobody holds may stay on a node that executes
// commands: a quarter of the TTL, but 2.5 s at the least.
const reaped = 2500 * time.Millisecond

// lasting is the configuration of tests in which no key may lapse before it has
// been looked at.
var lasting = redlock.Config{TTL: 30 * time.Second}

func TestACallThatIsCancelledAfterAnyMessageLeavesNoKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]cancelledCall{
		"on new connections":                                 {least: 20},
		"on open connections":                                {least: 3, open: true},
		"while others hold a majority":                       {least: 10, open: true, taken: 2},
		"through clients of the application":                 {least: 3, open: true, clients: true},
		"through such clients, while others hold a majority": {least: 3, open: true, clients: true, taken: 2},
	} {
		t.Run(name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				var resources []string
				for k := 1; ; k++ {
					resource, ended := c.cancelAfter(t, q, k)
					resources = append(resources, resource)
					if !ended && k <= c.least {
						t.Fatalf("message %d has not come", k)
					}
					if !ended {
						break
					}
				}
				wantReaped(t, name, q.Servers[c.taken:], resources...)
			})
		})
	}
}

// cancelledCall is a Lock whose context ends in the middle.
type cancelledCall struct {
	least   int  // messages that it must take until it returns by itself
	open    bool // the connections are made before
	clients bool // the nodes are clients of the application
	taken   int  // on how many nodes somebody else holds the lock
}

// cancelAfter cancels a Lock when the k-th message between it and the nodes is on
// its way, in either direction. It reports whether the call took so long.
func (c cancelledCall) cancelAfter(t *testing.T, q *Quorum, k int) (resource string, ended bool) {
	t.Helper()
	resource = q.Resource(t)
	q.Take(t, c.taken, resource, "someone", time.Minute)
	proxies := q.Proxies(t)
	nodes := q.Nodes
	if c.clients {
		nodes = clientsOf(t, proxies)
	}
	m := q.New(t, redlock.Config{Nodes: nodes, TTL: lasting.TTL, Attempts: 5, RetryDelayMin: time.Millisecond,
		RetryDelayMax: 2 * time.Millisecond})
	if c.open {
		awaitNodes(t, m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen atomic.Int64
	for _, p := range proxies {
		p.Handle(func(proxy.Message) proxy.Action {
			if seen.Add(1) == int64(k) {
				cancel()
			}
			return proxy.Pass
		})
	}
	lock, err := m.Lock(ctx, resource)
	ended = ctx.Err() != nil
	switch {
	case err == nil && c.taken > 0:
		t.Errorf("k=%d: won, and others hold a majority", k)
	case err == nil:
		if err := lock.Unlock(ctx); err != nil {
			t.Errorf("k=%d: unlock: %v", k, err)
		}
	case ended && c.taken > 0 && errors.Is(err, redlock.ErrTaken): // before the message, or after it
	case ended && !errors.Is(err, context.Canceled):
		t.Errorf("k=%d: got %v", k, err)
	case ended: // it says so
	case c.taken == 0:
		t.Errorf("k=%d: not won: %v", k, err)
	case !errors.Is(err, redlock.ErrTaken):
		t.Errorf("k=%d: got %v, and others hold a majority", k, err)
	}
	return resource, ended
}

// clientsOf are nodes of clients that an application has made.
func clientsOf(t *testing.T, proxies []*proxy.Proxy) []redlock.Node {
	t.Helper()
	nodes := make([]redlock.Node, len(proxies))
	for i, p := range proxies {
		client := redis.NewClient(&redis.Options{Addr: p.Addr})
		t.Cleanup(func() { _ = client.Close() })
		nodes[i] = redlock.Client(client)
	}
	return nodes
}

// awaitNodes returns when every node has answered: the first answer takes more
// time on a busy machine than a short node timeout allows.
func awaitNodes(t *testing.T, m *redlock.Manager) {
	t.Helper()
	eventually(t, 10*time.Second, func() error { return m.Ping(t.Context()) })
}

// wantReaped fails unless the keys of locks of [lasting], which nobody holds, are
// gone in time from the servers.
func wantReaped(t *testing.T, what string, running []*servers.Server, keys ...string) {
	t.Helper()
	time.Sleep(reaped) // what is executed late is there now
	eventually(t, lasting.TTL/4-reaped, func() error { return checkNoKeys(what, running, keys...) })
}

// wantNoKeys fails if one of the servers has one of the keys, which nobody holds.
func wantNoKeys(t *testing.T, what string, running []*servers.Server, keys ...string) {
	t.Helper()
	if err := checkNoKeys(what, running, keys...); err != nil {
		t.Error(err)
	}
}

func checkNoKeys(what string, running []*servers.Server, keys ...string) error {
	var errs []error
	for _, s := range running {
		left, err := s.Client.Exists(context.Background(), keys...).Result()
		if err == nil && left > 0 {
			err = fmt.Errorf("%s: %s has %d of %d keys", what, s.Addr, left, len(keys))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
