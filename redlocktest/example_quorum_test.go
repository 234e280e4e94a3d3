package redlocktest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

func ExampleQuorum_Nodes() {
	ctx := context.Background()
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	other, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: 5 * time.Second}) // as another process has one
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close(ctx)

	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	_, err = other.TryLock(ctx, "report")
	fmt.Println("while it is held:", errors.Is(err, redlock.ErrTaken))
	fmt.Println("given back:", lock.Unlock(ctx))
	// Output:
	// while it is held: true
	// given back: <nil>
}

func ExampleQuorum_StopNode() {
	ctx := context.Background()
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report", redlock.WithTTL(time.Second), redlock.WithAutoRenew())
	if err != nil {
		log.Fatal(err)
	}
	q.StopNode(0)
	q.StopNode(1)
	<-lock.Done() // it cannot be renewed any more
	fmt.Println(lock.Err())
	// Output: redlock: expired
}

func ExampleQuorum_StartNode() {
	ctx := context.Background()
	q, err := redlocktest.Start(1)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report", redlock.WithTTL(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	q.StopNode(0)
	if err := q.StartNode(0); err != nil { // its data is gone
		log.Fatal(err)
	}
	other, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close(ctx)
	second, err := other.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("two hold it:", lock.Valid() && second.Valid())
	fmt.Println(second.Unlock(ctx))
	// Output:
	// two hold it: true
	// <nil>
}

func ExampleQuorum_Close() {
	ctx := context.Background()
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	q.Close()
	fmt.Println(lock.Err())
	// Output: redlock: released
}
