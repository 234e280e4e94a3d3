package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/bench"
	"github.com/redlock-go/redlock/test/servers"
)

const (
	maxCommands   = 1.0  // times those for a hand-off to one waiter
	maxWaiter     = 1024 // bytes, beside its goroutine
	maxRenewed    = 100  // MB, with 100,000 locks
	maxUneven     = 2.0  // renewals in one second, times the mean
	renewedLocks  = 100_000
	renewedTTL    = 30 * time.Second
	renewedFor    = 60 * time.Second
	evenlyFrom    = 15 * time.Second
	queuedCallers = 1000
)

// waiters compares a resource that a thousand callers of one process want with
// one that two want: there is always one that waits.
func waiters(b *testing.B) {
	q := bench.Start(b, 1)
	one, many := commandsPerHandOff(b, q, 2), commandsPerHandOff(b, q, queuedCallers)
	show("callers of one process", "with one waiter %.2f commands for a hand-off, with %d %.2f", one, queuedCallers, many)
	// Signs of life are commands, too: less than a tenth of one is none.
	atMost(b, "commands, with 1,000 waiters / with one", math.Round(10*many)/math.Round(10*one), maxCommands)
	atMost(b, "bytes a waiter", waiterSize(b, q), maxWaiter)
}

// commandsPerHandOff has callers take one resource in turn, and counts what all
// servers execute.
func commandsPerHandOff(b *testing.B, q *bench.Quorum, callers int) float64 {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	resource := fmt.Sprint("callers-", callers)
	var mu sync.Mutex
	handOffs := 0
	var before int
	done := make(chan struct{})
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for ctx.Err() == nil {
				lock, err := q.Manager.Lock(ctx, resource)
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						b.Error(err)
					}
					return
				}
				mu.Lock()
				switch handOffs++; handOffs {
				case queuedCallers: // all have begun to wait
					before = executed(b, q.Servers)
				case 3 * queuedCallers:
					close(done)
				}
				mu.Unlock()
				if err := lock.Unlock(context.Background()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	<-done
	mu.Lock()
	commands, n := executed(b, q.Servers)-before, handOffs-queuedCallers
	mu.Unlock()
	cancel()
	group.Wait()
	return float64(commands) / float64(n)
}

// executed is how many commands the servers have executed, those of scripts
// included.
func executed(b *testing.B, all []*servers.Server) (sum int) {
	b.Helper()
	for _, s := range all {
		sum += calls(b, s, "")
	}
	return sum
}

// calls is how often one command was executed, or with "" any but INFO.
func calls(b *testing.B, s *servers.Server, command string) (sum int) {
	b.Helper()
	info, err := s.Client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		var n int
		name, rest, _ := strings.Cut(line, ":calls=")
		name = strings.TrimPrefix(name, "cmdstat_")
		if _, err := fmt.Sscanf(rest, "%d", &n); err == nil && name != "info" && (command == "" || name == command) {
			sum += n
		}
	}
	return sum
}

// waiterSize is what a waiter costs on the heap.
func waiterSize(b *testing.B, q *bench.Quorum) float64 {
	b.Helper()
	held, err := q.Manager.TryLock(b.Context(), "queued", redlock.WithTTL(time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	idle := func(ctx context.Context) { <-ctx.Done() }
	_ = heapOf(b, idle) // what the runtime keeps for the next goroutines
	grown := heapOf(b, func(ctx context.Context) { _, _ = q.Manager.Lock(ctx, "queued") }) - heapOf(b, idle)
	if err := held.Unlock(context.Background()); err != nil {
		b.Error(err)
	}
	return float64(grown) / queuedCallers
}

// heapOf is by how much the heap grows with a thousand calls that wait.
func heapOf(b *testing.B, wait func(context.Context)) int {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	before := heap()
	var group sync.WaitGroup
	for range queuedCallers {
		group.Go(func() { wait(ctx) })
	}
	time.Sleep(time.Second) // until all of them wait
	grown := heap() - before
	cancel()
	group.Wait()
	return grown
}

func heap() int {
	runtime.GC()
	runtime.GC() // what finalizers have freed
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// renewals has one manager renew many locks.
func renewals(b *testing.B) {
	q := bench.Start(b, 1)
	before, goroutines := heap(), runtime.NumGoroutine()
	locks := takeMany(b, q.Manager)
	perSecond, most, largest := watchRenewals(b, q.Servers[0])
	lost := 0
	for _, lock := range locks {
		if !lock.Valid() {
			lost++
		}
	}
	mean := 0.0
	for _, n := range perSecond {
		mean += float64(n) / float64(len(perSecond))
	}
	show("100,000 renewed locks", "heap %d MB (%d before), at most %d goroutines (%d before)",
		largest/1e6, before/1e6, most, goroutines)
	show("", "%.0f renewals a second, %d at most", mean, slices.Max(perSecond))
	atMost(b, "heap in MB", float64(largest)/1e6, maxRenewed)
	atMost(b, "goroutines for 100,000 locks", float64(most-goroutines), 5)
	atMost(b, "locks lost", float64(lost), 0)
	atMost(b, "the busiest second / the mean", float64(slices.Max(perSecond))/mean, maxUneven)
	runtime.KeepAlive(locks)
}

func takeMany(b *testing.B, m *redlock.Manager) []*redlock.Lock {
	b.Helper()
	locks := make([]*redlock.Lock, renewedLocks)
	var group sync.WaitGroup
	const callers = 64
	for first := range callers {
		group.Go(func() {
			for i := first; i < len(locks); i += callers {
				lock, err := m.TryLock(b.Context(), fmt.Sprint("renewed-", i),
					redlock.WithTTL(renewedTTL), redlock.WithAutoRenew())
				if err != nil {
					b.Error(err)
					return
				}
				locks[i] = lock
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return locks
}

// watchRenewals counts what a server renews in each second, once that has become
// even, and returns the most goroutines and the largest heap that were seen.
func watchRenewals(b *testing.B, s *servers.Server) (perSecond []int, goroutines, largest int) {
	b.Helper()
	begun := time.Now()
	last := 0
	for tick := range time.Tick(time.Second) {
		now := calls(b, s, "evalsha")
		if tick.Sub(begun) > evenlyFrom {
			perSecond = append(perSecond, now-last)
		}
		last = now
		goroutines = max(goroutines, runtime.NumGoroutine())
		if len(perSecond)%15 == 14 {
			largest = max(largest, heap())
		}
		if tick.Sub(begun) > renewedFor {
			return perSecond, goroutines, largest
		}
	}
	return nil, 0, 0
}
