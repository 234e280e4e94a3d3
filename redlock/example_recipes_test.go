package redlock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func ExampleManager_TryLock_cron() {
	// Here: three nodes in memory, and a job.
	m, done := inMemory(3)
	defer done()
	writeReport := func(context.Context) error { fmt.Println("writing the report"); return nil }

	run := time.Now().UTC().Truncate(time.Hour).Format(time.RFC3339) // the same in every process
	lock, err := m.TryLock(ctx, "report:"+run, redlock.WithTTL(time.Hour))
	switch {
	case errors.Is(err, redlock.ErrTaken):
		return // another process is at it, or has done it
	case err != nil:
		fmt.Println("the nodes could not decide:", err)
		return
	}
	if err := writeReport(ctx); err != nil {
		_ = lock.Unlock(ctx) // another process may try
	}
	// Output: writing the report
}

func ExampleManager_Do_lost() {
	// Here: three nodes in memory, and somebody who drops the lock at page 1.
	m, done := inMemory(3)
	defer done()
	importPage := func(ctx context.Context, page int) error {
		fmt.Println("page", page)
		if page == 1 {
			_ = m.ForceUnlock(context.Background(), "import")
			<-ctx.Done()
		}
		return ctx.Err()
	}

	err := m.Do(ctx, "import", func(ctx context.Context, lock *redlock.Lock) error {
		for page := range 1000 { // it may take hours: the lock is renewed
			if err := importPage(ctx, page); err != nil {
				return err // ctx has ended, perhaps since the lock is over
			}
		}
		return nil
	})
	if errors.Is(err, redlock.ErrNotHeld) {
		fmt.Println("stopped: somebody else may import now")
	}
	// Output:
	// page 0
	// page 1
	// stopped: somebody else may import now
}

func ExampleManager_Lock_queue() {
	// Here: three nodes in memory.
	m, done := inMemory(3)
	defer done()

	var callers sync.WaitGroup
	for page := range 3 {
		callers.Go(func() {
			lock, err := m.Lock(ctx, "printer") // it waits for those that came before
			if err != nil {
				fmt.Println("not printed:", err)
				return
			}
			fmt.Println("printing page", page)
			_ = lock.Unlock(ctx) // the next one is woken
		})
	}
	callers.Wait()
	// Unordered output:
	// printing page 0
	// printing page 1
	// printing page 2
}
