package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlock-go/redlock/redlock"
)

// pipes are nodes in memory that are reached by pipes in place of sockets, so
// that a story on them can be told in fake time.
type pipes struct {
	mu      sync.Mutex
	servers []*miniredis.Miniredis // guarded by mu; nil while stopped
}

// newPipes starts n nodes that end with the test.
func newPipes(t *testing.T, n int) (*pipes, []redlock.Node) {
	t.Helper()
	p := &pipes{servers: make([]*miniredis.Miniredis, n)}
	nodes := make([]redlock.Node, n)
	for i := range n {
		_ = p.StartNode(i)
		client := redis.NewClient(&redis.Options{
			Addr:                     fmt.Sprintf("10.0.0.%d:6379", i+1),
			Dialer:                   func(context.Context, string, string) (net.Conn, error) { return p.dial(i) },
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		nodes[i] = redlock.Client(client)
		t.Cleanup(func() {
			_ = client.Close()
			p.StopNode(i)
		})
	}
	return p, nodes
}

// dial connects to node i. One that has stopped hangs up: go-redis would log a
// dial that fails.
func (p *pipes) dial(i int) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if server := p.servers[i]; server != nil {
		return server.Dial()
	}
	client, server := net.Pipe()
	return client, server.Close()
}

// put has n nodes keep key for somebody else.
func (p *pipes) put(n int, key string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, server := range p.servers[:n] {
		if err := server.Set(key, "somebody else's"); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipes) StopNode(i int) {
	p.mu.Lock()
	server := p.servers[i]
	p.servers[i] = nil
	p.mu.Unlock()
	if server != nil {
		server.Close()
	}
}

func (p *pipes) StartNode(i int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers[i] == nil {
		p.servers[i] = miniredis.NewMiniRedis()
		p.servers[i].ClockTTL(true)
	}
	return nil
}
