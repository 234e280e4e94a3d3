package redlock_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

// heldElsewhere gives a manager on three nodes in memory where another one,
// which the owner names, has taken the resources under the token.
func heldElsewhere(owner, token string, resources ...string) (*redlock.Manager, func()) {
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	other, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: 5 * time.Second, Owner: owner})
	if err != nil {
		log.Fatal(err)
	}
	for _, resource := range resources {
		opts := []redlock.LockOption{redlock.WithTTL(time.Minute)}
		if token != "" {
			opts = append(opts, redlock.WithToken(token))
		}
		if _, err := other.TryLock(context.Background(), resource, opts...); err != nil {
			log.Fatal(err)
		}
	}
	return q.Manager, func() {
		q.Close()
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = other.Close(ended) // its nodes are gone
	}
}

func ExampleManager_Inspect() {
	// Here: three nodes in memory, and a lock of another process.
	m, done := heldElsewhere("worker-7", "", "report")
	defer done()

	state, err := m.Inspect(ctx, "report")
	if err != nil {
		fmt.Println("too few nodes could say:", err)
	}
	if state.Locked {
		fmt.Println(state.Resource, "is held by", state.Owner, "for", state.Remaining.Round(time.Minute))
	}
	for _, node := range state.Nodes {
		if node.Err != nil {
			fmt.Println(node.Node, "did not say:", node.Err)
		}
	}
	// Output: report is held by worker-7 for 1m0s
}

func ExampleManager_Resume() {
	// Here: three nodes in memory, and a lock that was taken before a restart.
	m, done := heldElsewhere("", "import-42", "import")
	defer done()

	token := "import-42" // the same after a restart, and nobody else's
	lock, err := m.TryLock(ctx, "import", redlock.WithToken(token))
	if errors.Is(err, redlock.ErrAlreadyHeld) {
		lock, err = m.Resume(ctx, "import", token)
	}
	if err != nil {
		fmt.Println("not now:", err)
		return
	}
	fmt.Println("going on with the", lock.Resource(), "as long as this is true:", lock.Valid())
	// Output: going on with the import as long as this is true: true
}

func ExampleManager_ForceUnlock() {
	// Here: three nodes in memory, and a lock of another process.
	m, done := heldElsewhere("worker-7", "", "report")
	defer done()

	if err := m.ForceUnlock(ctx, "report"); err != nil {
		fmt.Println("a majority did not confirm that it is gone:", err)
		return
	}
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("our turn:", lock.Valid()) // and worker-7 may still be at it
	// Output: our turn: true
}

func ExampleManager_ForceUnlockAll() {
	// Here: three nodes in memory, and locks of another process.
	m, done := heldElsewhere("", "", "job:1", "job:2", "report")
	defer done()

	n, err := m.ForceUnlockAll(ctx, "job:") // every string whose key begins so, lock or not
	fmt.Println("dropped:", n)
	if err != nil {
		fmt.Println("not every node could be asked:", err)
	}
	// Output: dropped: 2
}
