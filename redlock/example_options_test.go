package redlock_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

func ExampleWithTTL() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(30*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.TTL())
	// Output: 30s
}

func ExampleWithNoExpiry() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "migration", redlock.WithNoExpiry())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.Until().IsZero(), lock.Extend(ctx, 0))
	// Output: true redlock: extend "migration": no expiry
}

func ExampleWithMaxHold() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithMaxHold(time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	err = lock.Extend(ctx, time.Hour) // cut short
	fmt.Println(lock.Remaining() <= time.Minute, err)
	// Output: true <nil>
}

func ExampleWithToken() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithToken("worker-7"))
	if err != nil {
		log.Fatal(err)
	}
	_, err = m.TryLock(ctx, "report", redlock.WithToken("worker-7"))
	fmt.Println(lock.Token(), errors.Is(err, redlock.ErrAlreadyHeld), errors.Is(err, redlock.ErrTaken))
	// Output: worker-7 true true
}

func ExampleWithAttempts() {
	// Here: three nodes in memory, and a holder.
	m, done := inMemory(3)
	defer done()
	if _, err := m.TryLock(ctx, "report"); err != nil {
		log.Fatal(err)
	}

	_, err := m.Lock(ctx, "report", redlock.WithAttempts(2)) // the first one included
	fmt.Println(errors.Is(err, redlock.ErrTaken))
	// Output: true
}

func ExampleWithBackoff() {
	// Here: three nodes in memory, and a holder.
	m, done := inMemory(3)
	defer done()
	if _, err := m.TryLock(ctx, "report"); err != nil {
		log.Fatal(err)
	}

	pauses := func(attempt int) time.Duration {
		fmt.Println("pause", attempt)
		return time.Duration(attempt) * 10 * time.Millisecond
	}
	_, err := m.Lock(ctx, "report", redlock.WithAttempts(3), redlock.WithBackoff(pauses))
	fmt.Println(errors.Is(err, redlock.ErrTaken))
	// Output:
	// pause 1
	// pause 2
	// true
}

func ExampleWithCarry() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithCarry("request 17"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.Carry())
	// Output: request 17
}

func ExampleLock_Carry() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	if _, err := m.TryLock(ctx, "report", redlock.WithCarry("request 17")); err != nil {
		log.Fatal(err)
	}
	for _, lock := range m.Held() {
		fmt.Println(lock.Resource(), "is held for", lock.Carry())
	}
	// Output: report is held for request 17
}

func ExampleWithIgnoreReleaseError() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	work := func(ctx context.Context, lock *redlock.Lock) error {
		<-lock.Done() // it takes too long
		return nil
	}
	brief := []redlock.LockOption{redlock.WithMaxHold(300 * time.Millisecond)}
	fmt.Println(m.Do(ctx, "report", work, brief...))
	fmt.Println(m.Do(ctx, "report", work, append(brief, redlock.WithIgnoreReleaseError())...))
	// Output:
	// redlock: unlock "report": expired
	// <nil>
}

func ExampleWithLogger() {
	// Here: a log that this example can show.
	timeless := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: timeless})

	cfg := redlock.Config{Nodes: []redlock.Node{redlock.Addr("10.0.0.1", 6379), redlock.Addr("10.0.0.2", 6379)}}
	if _, err := redlock.New(cfg, redlock.WithLogger(slog.New(handler))); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=WARN msg="redlock: 2 nodes tolerate no more failures than 1 would; an odd number is better"
}

func ExampleWithHooks() {
	// Here: three nodes in memory.
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()

	var held, refused atomic.Int64 // calls come at the same time
	m, err := redlock.New(redlock.Config{Nodes: q.Nodes()}, redlock.WithHooks(redlock.Hooks{
		Acquired: func(redlock.LockEvent) { held.Add(1) },
		Refused:  func(redlock.LockEvent) { refused.Add(1) },
		Released: func(redlock.LockEvent) { held.Add(-1) },
		Lost: func(e redlock.LockEvent) {
			held.Add(-1)
			fmt.Println(e.Resource, "was lost after", e.Held, e.Err)
		},
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close(ctx)

	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	_, _ = m.TryLock(ctx, "report")
	fmt.Println("held:", held.Load(), "refused:", refused.Load())
	_ = lock.Unlock(ctx)
	fmt.Println("held:", held.Load())
	// Output:
	// held: 1 refused: 1
	// held: 0
}
