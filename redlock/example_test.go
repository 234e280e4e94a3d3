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

// A paragraph that begins with "Here:" sets up an example. It is left out where
// the README shows the rest.

var ctx = context.Background()

// inMemory gives a manager on n nodes in memory, and what ends them.
func inMemory(n int) (*redlock.Manager, func()) {
	q, err := redlocktest.Start(n)
	if err != nil {
		log.Fatal(err)
	}
	return q.Manager, q.Close
}

func Example() {
	ctx := context.Background()
	m, err := redlock.Open("redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close(ctx)

	err = m.Do(ctx, "invoice:42", func(ctx context.Context, lock *redlock.Lock) error {
		return nil // nobody else sends invoice 42 now; ctx ends if the lock is lost
	})
	log.Println("done:", err)
}

func ExampleOpen() {
	m, err := redlock.Open("redis://10.0.0.1", "redis://10.0.0.2:6380/1", "unix:///run/redis.sock")
	fmt.Println(m, err)
	// Output: redlock.Manager{10.0.0.1:6379, 10.0.0.2:6380/1, unix:/run/redis.sock} <nil>
}

func ExampleManager_Do() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	err := m.Do(ctx, "invoice:42", func(ctx context.Context, lock *redlock.Lock) error {
		fmt.Println("sending", lock.Resource()) // give ctx to all that this calls
		return ctx.Err()
	})
	switch {
	case errors.Is(err, redlock.ErrTaken):
		fmt.Println("somebody else was at it until ctx ended")
	case errors.Is(err, redlock.ErrNoQuorum):
		fmt.Println("too few nodes could say who has it:", err)
	case errors.Is(err, redlock.ErrNotHeld):
		fmt.Println("sent, but the lock was over before the end:", err)
	case err != nil:
		fmt.Println("not sent:", err)
	}
	// Output: sending invoice:42
}

func ExampleManager_TryLock() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(30*time.Second))
	switch {
	case errors.Is(err, redlock.ErrTaken):
		fmt.Println("somebody else is at it")
		return
	case err != nil:
		fmt.Println("the nodes could not decide:", err)
		return
	}
	fmt.Println("writing the", lock.Resource())
	if err := lock.Unlock(ctx); err != nil {
		fmt.Println("the lock was over before the end:", err)
	}
	// Output: writing the report
}

func ExampleManager_Lock() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	waiting, cancel := context.WithTimeout(ctx, 5*time.Second)
	lock, err := m.Lock(waiting, "report") // waits for its holder, 5s at most
	cancel()                               // ctx bounds the waiting, not the lock
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("our turn:", lock.Valid())
	// Output: our turn: true
}

func ExampleManager_Lock_deadline() {
	// Here: three nodes in memory, and a holder.
	m, done := inMemory(3)
	defer done()
	if _, err := m.TryLock(ctx, "report"); err != nil {
		log.Fatal(err)
	}

	waiting, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err := m.Lock(waiting, "report")
	fmt.Println("somebody has it:", errors.Is(err, redlock.ErrTaken))
	fmt.Println("the time was up:", errors.Is(err, context.DeadlineExceeded))
	// Output:
	// somebody has it: true
	// the time was up: true
}

func ExampleManager_Extend() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}

	err = m.Extend(ctx, lock, time.Minute) // the same as lock.Extend(ctx, time.Minute)
	fmt.Println(lock.Remaining() > 50*time.Second, err)
	// Output: true <nil>
}

func ExampleManager_Unlock() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(m.Unlock(ctx, lock)) // the same as lock.Unlock(ctx)
	// Output: <nil>
}

func ExampleManager_IsLocked() {
	// Here: three nodes in memory, and a holder.
	m, done := inMemory(3)
	defer done()
	if _, err := m.TryLock(ctx, "report"); err != nil {
		log.Fatal(err)
	}

	locked, err := m.IsLocked(ctx, "report") // by anybody
	fmt.Println(locked, err)
	// Output: true <nil>
}

func ExampleManager_Held() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	if _, err := m.TryLock(ctx, "report"); err != nil {
		log.Fatal(err)
	}

	for _, lock := range m.Held() {
		fmt.Println(lock.Resource())
	}
	// Output: report
}

func ExampleManager_Ping() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	if err := m.Ping(ctx); err != nil {
		log.Fatal(err) // a wrong password, a replica, too few nodes: better now than at the first lock
	}
	fmt.Println("ready")
	// Output: ready
}

func ExampleManager_Close() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}

	closing, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = m.Close(closing)
	fmt.Println(err, lock.Err())
	// Output: <nil> redlock: released
}

func ExampleLock_Extend() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(30*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	for page := range 3 {
		if err := lock.Extend(ctx, 0); err != nil { // 30s again, from now
			fmt.Println("stopping:", err)
			return
		}
		fmt.Println("page", page)
	}
	// Output:
	// page 0
	// page 1
	// page 2
}

func ExampleLock_ExtendBy() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(30*time.Second))
	if err != nil {
		log.Fatal(err)
	}

	before := lock.Until()
	err = lock.ExtendBy(ctx, time.Minute)
	fmt.Println(lock.Until().Sub(before) >= time.Minute, err)
	// Output: true <nil>
}

func ExampleLock_Unlock() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(lock.Unlock(ctx))
	fmt.Println(lock.Unlock(ctx))
	// Output:
	// <nil>
	// redlock: unlock "report": released
}

func ExampleLock_IsHeld() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}

	held, err := lock.IsHeld(ctx) // asks the nodes; Valid does not
	fmt.Println(held, err)
	// Output: true <nil>
}

func ExampleLock_Valid() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(lock.Valid())
	if err := lock.Unlock(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.Valid())
	// Output:
	// true
	// false
}

func ExampleLock_Until() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(10*time.Second))
	if err != nil {
		log.Fatal(err)
	}

	// 1% and 2ms are taken off, since the clocks of the nodes may run faster.
	fmt.Println(time.Until(lock.Until()) < 9900*time.Millisecond)
	// Output: true
}

func ExampleLock_Remaining() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(time.Minute))
	if err != nil {
		log.Fatal(err)
	}

	if lock.Remaining() > 5*time.Second {
		fmt.Println("time enough for one more page")
	}
	// Output: time enough for one more page
}

func ExampleLock_Done() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(500*time.Millisecond))
	if err != nil {
		fmt.Println(err)
		return
	}
	select {
	case <-lock.Done(): // by a local timer: no node has to be reached
		fmt.Println(lock.Err())
	case <-time.After(time.Minute):
		fmt.Println("the work is done")
	}
	// Output: redlock: expired
}

func ExampleLock_Err() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(lock.Err())
	if err := lock.Unlock(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.Err(), errors.Is(lock.Err(), redlock.ErrNotHeld))
	// Output:
	// <nil>
	// redlock: released true
}

func ExampleLock_Context() {
	// Here: three nodes in memory, and a lock.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(500*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}

	working := lock.Context(ctx) // for all that must stop when the lock is over
	<-working.Done()
	fmt.Println(context.Cause(working))
	// Output: redlock: expired
}

func ExampleLock_Token() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	one, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	two, err := m.TryLock(ctx, "invoice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(one.Token() == two.Token()) // each has its own
	// Output: false
}

func ExampleLock_TTL() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.TTL()) // Config.TTL
	// Output: 10s
}

func ExampleLock_Resource() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.Resource())
	// Output: report
}

func ExampleWithAutoRenew() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	lock, err := m.TryLock(ctx, "report", redlock.WithTTL(500*time.Millisecond), redlock.WithAutoRenew())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lock.Unlock(ctx)
	select {
	case <-lock.Done():
		fmt.Println("stop working:", lock.Err())
	case <-time.After(1200 * time.Millisecond):
		fmt.Println("still held, long after its TTL")
	}
	// Output: still held, long after its TTL
}
