package redlock

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// rounds is how often the simulations are repeated; make simulate sets more.
var rounds = flag.Int("rounds", 5, "rounds of each simulation")

// rig is a manager on nodes in memory, in fake time.
type rig struct {
	*Manager
	t     *testing.T
	net   *fakeredis.Net
	nodes []*fakeredis.Node
	all   []*Manager // each is closed at the end
}

// bubble runs f in fake time with a manager on n nodes. At its end every key
// must be settled and every goroutine gone.
func bubble(t *testing.T, n int, cfg Config, f func(t *testing.T, r *rig), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, newRig(t, n, cfg, opts...))
	})
}

func newRig(t *testing.T, n int, cfg Config, opts ...Option) *rig {
	t.Helper()
	r := &rig{t: t, net: fakeredis.NewNet()}
	for i := range n {
		r.nodes = append(r.nodes, r.net.Start(t, fmt.Sprintf("10.0.0.%d:6379", i+1)))
	}
	t.Cleanup(r.shutDown)
	r.Manager = r.manager(cfg, opts...)
	return r
}

// manager makes another manager on the same nodes.
func (r *rig) manager(cfg Config, opts ...Option) *Manager {
	r.t.Helper()
	if cfg.Nodes == nil {
		for i := range r.nodes {
			cfg.Nodes = append(cfg.Nodes, Addr(fmt.Sprintf("10.0.0.%d", i+1), 6379))
		}
	}
	m, err := New(cfg, opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	m.dial = r.net.DialContext
	r.all = append(r.all, m)
	return m
}

// shutDown closes the managers: every key is settled and every goroutine gone.
func (r *rig) shutDown() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, m := range r.all {
		if err := m.Close(ctx); err != nil {
			r.t.Error(err)
		}
	}
}

// connected connects to every node.
func (r *rig) connected() {
	r.t.Helper()
	if err := r.Ping(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) mustLock(m *Manager, resource string, opts ...LockOption) *Lock {
	r.t.Helper()
	lock, err := m.TryLock(r.t.Context(), resource, opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait() // the nodes beyond the majority have answered
	return lock
}

// lockAndUnlock takes so many locks, and gives each back at once.
func (r *rig) lockAndUnlock(n int) {
	r.t.Helper()
	for i := range n {
		lock, err := r.TryLock(r.t.Context(), fmt.Sprint(i))
		if err != nil {
			r.t.Fatal(err)
		}
		if err := lock.Unlock(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// mustRelease wants one acquire on the connection, and its release behind it.
func (r *rig) mustRelease(node *fakeredis.Node, conn int) {
	r.t.Helper()
	order := ""
	for _, c := range node.Commands() {
		if c.Conn == conn && (c.Name == "SET" || c.Name == "EVALSHA") {
			order += c.Name + " "
		}
	}
	if order != "SET EVALSHA " {
		r.t.Errorf("the connection executed %q", order)
	}
}

// holders counts the nodes that have key.
func (r *rig) holders(key string) (n int) {
	for _, node := range r.nodes {
		if node.Exists(key) {
			n++
		}
	}
	return n
}

func (r *rig) mustHave(key string, want int) {
	r.t.Helper()
	if got := r.holders(key); got != want {
		r.t.Fatalf("%d nodes have %q, want %d", got, key, want)
	}
}

// passTime moves the bubble's clock.
func passTime(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in bubbles alone: it costs no time
	synctest.Wait()
}

func contains(s, part string) bool { return strings.Contains(s, part) }
