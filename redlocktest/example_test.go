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

var ctx = context.Background()

// start gives n nodes in memory to an Example, which has no test for New.
func start(n int) *redlocktest.Quorum {
	q, err := redlocktest.Start(n)
	if err != nil {
		log.Fatal(err)
	}
	return q
}

// What a service runs under Do is told to stop when the nodes have forgotten the
// lock.
func Example() {
	q := start(5) // in a test: redlocktest.New(t, 5)
	defer q.Close()

	err := q.Manager.Do(ctx, "import", func(ctx context.Context, lock *redlock.Lock) error {
		fmt.Println("importing")
		q.Advance(lock.TTL()) // the keys expire
		<-ctx.Done()          // a renewal has found out
		fmt.Println("stopped:", context.Cause(ctx))
		return ctx.Err()
	}, redlock.WithTTL(3*time.Second))
	fmt.Println("the caller knows:", errors.Is(err, redlock.ErrLost))
	// Output:
	// importing
	// stopped: redlock: lost
	// the caller knows: true
}

func ExampleStart() {
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.Valid())
	// Output: true
}

func ExampleQuorum_Nodes() {
	q := start(3)
	defer q.Close()

	// Another process, with settings of its own.
	other, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: 5 * time.Second, KeyPrefix: "lock:"})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close(ctx)
	if _, err := other.TryLock(ctx, "report"); err != nil {
		log.Fatal(err)
	}
	_, err = q.Manager.TryLock(ctx, "lock:report")
	fmt.Println(errors.Is(err, redlock.ErrTaken))
	// Output: true
}

func ExampleQuorum_StopNode() {
	q := start(3)
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	q.StopNode(0)
	fmt.Println("without one node of three:", lock.Extend(ctx, 0))
	q.StopNode(1)
	fmt.Println("without two:", errors.Is(lock.Extend(ctx, 0), redlock.ErrNoQuorum))
	fmt.Println("as long as its time lasts:", lock.Valid())
	// Output:
	// without one node of three: <nil>
	// without two: true
	// as long as its time lasts: true
}

func ExampleQuorum_StartNode() {
	q := start(1)
	defer q.Close()
	other, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close(ctx)

	first, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	q.StopNode(0)
	q.StartNode(0) // it has nothing on a disk
	second, err := other.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("two trust it:", first.Valid() && second.Valid())
	// Output: two trust it: true
}

func ExampleQuorum_PauseNode() {
	q := start(5)
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	q.PauseNode(0)
	q.PauseNode(1)
	fmt.Println(lock.Extend(ctx, 0)) // three of five have answered
	// Output: <nil>
}

func ExampleQuorum_ResumeNode() {
	q := start(1)
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report", redlock.WithTTL(time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	q.PauseNode(0)
	waiting, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	fmt.Println("paused:", errors.Is(lock.Extend(waiting, time.Hour), redlock.ErrNoQuorum))
	q.ResumeNode(0)
	state, err := q.Manager.Inspect(ctx, "report")
	fmt.Println("what was sent has been executed:", state.Remaining > time.Minute, err)
	// Output:
	// paused: true
	// what was sent has been executed: true <nil>
}

func ExampleQuorum_Advance() {
	q := start(3)
	defer q.Close()

	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	q.Advance(lock.TTL()) // the keys expire
	fmt.Println("the holder does not know:", lock.Valid())
	fmt.Println("until it asks:", errors.Is(lock.Extend(ctx, 0), redlock.ErrLost))
	// Output:
	// the holder does not know: true
	// until it asks: true
}

func ExampleQuorum_Close() {
	q := start(3)
	lock, err := q.Manager.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	q.Close()
	fmt.Println(lock.Err())
	// Output: redlock: released
}
