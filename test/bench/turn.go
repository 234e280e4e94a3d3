package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Turn is what one contestant did in one go.
type Turn struct {
	Name      string          // of the contestant
	Latencies []time.Duration // of the pairs that succeeded, in ascending order
	Failed    int             // tries that did not
	Elapsed   time.Duration
	Mallocs   uint64 // of the whole process
}

// maxFailed ends a turn in which nothing works.
const maxFailed = 10_000

// For lets callers lock and unlock for a time.
func (c Contestant) For(tb testing.TB, callers int, d time.Duration) Turn {
	tb.Helper()
	var end time.Time
	return c.take(tb, callers, func() { end = time.Now().Add(d) }, func() bool { return time.Now().Before(end) })
}

// Times lets callers lock and unlock n times in all.
func (c Contestant) Times(b *testing.B, callers int) Turn {
	b.Helper()
	var begun atomic.Int64
	return c.take(b, callers, b.ResetTimer, func() bool { return begun.Add(1) <= int64(b.N) })
}

// take runs one turn: each caller goes on while more says so.
func (c Contestant) take(tb testing.TB, callers int, start func(), more func() bool) Turn {
	tb.Helper()
	latencies := make([][]time.Duration, callers)
	pairs := make([]Pair, callers)
	for i := range pairs {
		pairs[i] = c.Caller(fmt.Sprintf("%s-%d-%d", c.Name, callers, i))
		latencies[i] = make([]time.Duration, 0, 1<<16/callers)
	}
	var (
		turn   = Turn{Name: c.Name}
		failed atomic.Int64
		group  sync.WaitGroup
	)
	runtime.GC() // the one before leaves nothing to clean up
	start()
	mallocs, begun := countMallocs(), time.Now()
	for i, pair := range pairs {
		group.Go(func() {
			for more() {
				latencies[i] = append(latencies[i], succeed(tb, pair, &failed))
			}
		})
	}
	group.Wait()
	turn.Elapsed = time.Since(begun)
	turn.Mallocs = countMallocs() - mallocs
	turn.Failed = int(failed.Load())
	turn.Latencies = slices.Concat(latencies...)
	slices.Sort(turn.Latencies)
	return turn
}

// succeed repeats a pair until it works, and says how long the one that did took.
func succeed(tb testing.TB, pair Pair, failed *atomic.Int64) time.Duration {
	for {
		begun := time.Now()
		err := pair(context.Background())
		took := time.Since(begun)
		if err == nil {
			return took
		}
		if failed.Add(1) > maxFailed {
			tb.Errorf("given up after %d failed tries: %v", maxFailed, err)
			return took
		}
	}
}

func countMallocs() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs
}

// Median is that of the latencies.
func (t Turn) Median() time.Duration { return Median(t.Latencies) }

// PerSecond is the number of pairs a second.
func (t Turn) PerSecond() float64 { return float64(len(t.Latencies)) / t.Elapsed.Seconds() }

// MallocsPerPair counts allocations.
func (t Turn) MallocsPerPair() float64 { return float64(t.Mallocs) / float64(len(t.Latencies)) }

// Median is the middle of values, the upper one of two.
func Median[T float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
