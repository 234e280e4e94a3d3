package docs_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/bsm/redislock"

	"github.com/redlock-go/redlock/redlock"
)

func Example_redislockBefore() {
	// Here: one node in memory.
	clients, _, done := inMemory(1)
	defer done()
	client := clients[0]

	lock, err := redislock.Obtain(ctx, client, "invoice:42", 30*time.Second, nil)
	if errors.Is(err, redislock.ErrNotObtained) {
		fmt.Println("somebody else is at it")
		return
	} else if err != nil {
		log.Fatal(err)
	}
	defer lock.Release(ctx)
	fmt.Println("sending", lock.Key())
	// Output: sending invoice:42
}

func Example_redislockAfter() {
	// Here: one node in memory.
	clients, _, done := inMemory(1)
	defer done()
	client := clients[0]

	m, err := redlock.New(redlock.Config{Nodes: []redlock.Node{redlock.Client(client)}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close(ctx)
	lock, err := m.TryLock(ctx, "invoice:42", redlock.WithTTL(30*time.Second))
	if errors.Is(err, redlock.ErrTaken) {
		fmt.Println("somebody else is at it")
		return
	} else if err != nil {
		log.Fatal(err)
	}
	defer lock.Unlock(ctx)
	fmt.Println("sending", lock.Resource())
	// Output: sending invoice:42
}
