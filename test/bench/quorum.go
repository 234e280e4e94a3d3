// Package bench compares this library with others on the same servers, and with
// itself while a server is away.
//
// The rules of a fair comparison: five local servers, one TTL, each caller a
// resource of its own; pools with at least as many connections as callers, all
// of them open before the clock starts; native SET and EVALSHA for everybody;
// every result is checked, and a try that failed is not counted. Contestants
// take turns, and what is compared are the medians of their turns.
package bench

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

const (
	// Nodes is the size of the quorum.
	Nodes = 5

	// TTL is what every contestant asks for.
	TTL = 10 * time.Second
)

// Quorum is five servers and what the contestants reach them with.
type Quorum struct {
	Servers []*servers.Server
	Manager *redlock.Manager
	Clients []*redis.Client // of the other contestants
}

// Start starts the servers and opens every connection that callers will use. A
// machine without a server fails the benchmark: a comparison that did not happen
// must not look like one that was won.
func Start(tb testing.TB, callers int) *Quorum {
	tb.Helper()
	if missing := servers.Installed.Missing(); missing != "" {
		tb.Fatal(missing)
	}
	q := &Quorum{}
	var uris []string
	for range Nodes {
		s := servers.Start(tb, servers.Installed, servers.Options{})
		q.Servers = append(q.Servers, s)
		q.Clients = append(q.Clients, open(tb, s.Addr, callers))
		uris = append(uris, s.URI())
	}
	m, err := redlock.Open(uris...)
	if err != nil {
		tb.Fatal(err)
	}
	q.Manager = m
	tb.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	q.AwaitAll(tb)
	return q
}

// open makes a client whose pool is full. It has two connections a caller: where
// a call returns at the majority, its stragglers keep theirs for a while longer.
func open(tb testing.TB, addr string, callers int) *redis.Client {
	tb.Helper()
	size := 2 * callers
	client := redis.NewClient(&redis.Options{
		Addr:     addr,
		PoolSize: size,
		// Thousands of connections with 64 KiB each would be a test of the garbage
		// collector.
		ReadBufferSize:           4 << 10,
		WriteBufferSize:          4 << 10,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	tb.Cleanup(func() { _ = client.Close() })
	conns := make([]*redis.Conn, size)
	var group errgroup.Group
	for i := range conns {
		conns[i] = client.Conn()
		group.Go(func() error { return conns[i].Ping(tb.Context()).Err() })
	}
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
	for _, conn := range conns {
		_ = conn.Close() // back into the pool
	}
	return client
}
