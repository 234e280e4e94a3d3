package bench_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/redlock-go/redlock/test/bench"
)

// BenchmarkLockUnlock is a lock and its unlock by each contestant.
func BenchmarkLockUnlock(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			q := bench.Start(b, callers)
			for _, c := range q.All(b) {
				b.Run(c.Name, func(b *testing.B) {
					b.ReportAllocs()
					turn := c.Times(b, callers)
					b.ReportMetric(turn.PerSecond(), "pairs/s")
					b.ReportMetric(float64(turn.Median().Microseconds()), "p50-us")
					b.ReportMetric(float64(turn.Failed), "failed")
				})
			}
		})
	}
}

// BenchmarkOperations is this library with all five servers, and with four.
func BenchmarkOperations(b *testing.B) {
	q := bench.Start(b, 1)
	b.Run("all-five", func(b *testing.B) { report(b, q) })
	for _, fault := range bench.Faults {
		b.Run(fault.Name, func(b *testing.B) {
			q.AwaitAll(b)
			fault.Begin(b, q.Servers[0])
			defer fault.Repair(b, q.Servers[0])
			report(b, q)
		})
	}
}

func report(b *testing.B, q *bench.Quorum) {
	b.Helper()
	n := 0
	b.ResetTimer()
	timings := q.Operations(b, func() bool { n++; return n <= b.N })
	b.StopTimer()
	for operation, took := range timings {
		b.ReportMetric(float64(bench.Median(took).Microseconds()), operation+"-p50-us")
		b.ReportMetric(float64(slices.Max(took).Microseconds()), operation+"-max-us")
	}
}
