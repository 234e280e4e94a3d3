package servers

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/redlock-go/redlock/test/loopback"
)

// Pool is a number of servers of one kind that a whole run shares. Tests that
// use it neither stop them nor empty them, and keep to resources of their own.
type Pool struct {
	kind Kind
	size int

	mu      sync.Mutex
	servers []*Server // guarded by mu
}

// NewPool starts nothing yet: the first [Pool.Servers] does.
func NewPool(kind Kind, size int) *Pool { return &Pool{kind: kind, size: size} }

// Servers are the pool's servers, started by the first call.
func (p *Pool) Servers() ([]*Server, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers != nil {
		return p.servers, nil
	}
	var err error
	p.servers, err = startAll(p.size, func(int) (*Server, error) {
		return start(context.Background(), p.kind, Options{}, loopback.Port())
	})
	return p.servers, err
}

// Version is what the servers say that they are; empty if none was started.
func (p *Pool) Version() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.servers) == 0 {
		return ""
	}
	return p.servers[0].Version(context.Background())
}

// Close stops what was started.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := stopAll(p.servers)
	p.servers = nil
	return err
}

// startAll starts n servers at once. Where one fails, the others are stopped.
func startAll(n int, start func(i int) (*Server, error)) ([]*Server, error) {
	started := make([]*Server, n)
	var group errgroup.Group
	for i := range n {
		group.Go(func() (err error) {
			started[i], err = start(i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, stopAll(started))
	}
	return started, nil
}

func stopAll(started []*Server) error {
	var group errgroup.Group
	for _, s := range started {
		if s != nil {
			group.Go(func() error { return s.stop(context.Background()) })
		}
	}
	return group.Wait()
}
