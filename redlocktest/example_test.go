package redlocktest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

func ExampleStart() {
	ctx := context.Background()
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	q.StopNode(0)
	fmt.Println("without one node of three:", lock.Extend(ctx, 0))
	q.StopNode(1)
	fmt.Println("without two:", errors.Is(lock.Extend(ctx, 0), redlock.ErrNoQuorum))
	// Output:
	// without one node of three: <nil>
	// without two: true
}
