package docs_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
)

// A paragraph that begins with "Here:" sets up an example. It is left out where
// a guide shows the rest.

var ctx = context.Background()

// inMemory starts n nodes in memory. It returns clients of them, their URIs, and
// what ends them.
func inMemory(n int) (clients []*redis.Client, uris []string, done func()) {
	var nodes []*miniredis.Miniredis
	for range n {
		node, err := miniredis.Run()
		if err != nil {
			log.Fatal(err)
		}
		nodes = append(nodes, node)
		clients = append(clients, redis.NewClient(&redis.Options{Addr: node.Addr()}))
		uris = append(uris, "redis://"+node.Addr())
	}
	return clients, uris, func() {
		for i, node := range nodes {
			_ = clients[i].Close()
			node.Close()
		}
	}
}

func Example_redsyncBefore() {
	// Here: three nodes in memory.
	clients, _, done := inMemory(3)
	defer done()
	var pools []redsyncredis.Pool
	for _, client := range clients {
		pools = append(pools, goredis.NewPool(client))
	}
	start := time.Now()

	rs := redsync.New(pools...)
	mutex := rs.NewMutex("invoice:42", redsync.WithExpiry(30*time.Second))
	if err := mutex.LockContext(ctx); err != nil {
		fmt.Println("not sent:", err)
		return
	}
	fmt.Println("sending", mutex.Name(), "until", mutex.Until().Sub(start).Round(time.Second))
	if ok, err := mutex.UnlockContext(ctx); !ok {
		fmt.Println("the lock was over before the end:", err)
	}
	// Output: sending invoice:42 until 30s
}

func Example_redsyncAfter() {
	// Here: three nodes in memory.
	_, uris, done := inMemory(3)
	defer done()
	start := time.Now()

	m, err := redlock.Open(uris...)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close(ctx)
	lock, err := m.Lock(ctx, "invoice:42", redlock.WithTTL(30*time.Second))
	if err != nil {
		fmt.Println("not sent:", err)
		return
	}
	fmt.Println("sending", lock.Resource(), "until", lock.Until().Sub(start).Round(time.Second))
	if err := lock.Unlock(ctx); err != nil {
		fmt.Println("the lock was over before the end:", err)
	}
	// Output: sending invoice:42 until 30s
}

func Example_redsyncDo() {
	// Here: three nodes in memory.
	_, uris, done := inMemory(3)
	defer done()
	m, _ := redlock.Open(uris...)
	defer func() { _ = m.Close(ctx) }()

	err := m.Do(ctx, "invoice:42", func(ctx context.Context, lock *redlock.Lock) error {
		fmt.Println("sending", lock.Resource())
		return ctx.Err()
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: sending invoice:42
}
