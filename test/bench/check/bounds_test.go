// Package check holds the library to its bounds on speed. It is a benchmark, so
// that no run of the tests takes it along; `make bench-check` runs it.
package check

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redlock-go/redlock/test/bench"
)

// A bound has no tolerance. Noise is met by turns: the contestants alternate, each
// round starts with another one, and the medians of the rounds are compared. A
// machine that is busy for a second disturbs one round, not the median.
const (
	maxLatency    = 1.0 // times the fan-out's, one caller
	minThroughput = 6.0 // times that of redsync's better mode, 64 callers
	maxMallocs    = 60  // a pair
	maxFault      = 1.5 // times the same operation with all five servers
)

// BenchmarkBounds fails if one of the bounds is missed. It runs once, whatever
// -benchtime says.
func BenchmarkBounds(b *testing.B) {
	b.Run("one-caller", oneCaller)
	b.Run("64-callers", manyCallers)
	b.Run("faults", faults)
	b.Run("hand-off", handOff)
	b.Run("one-process", oneProcess)
	b.Run("eight-processes", eightProcesses)
	b.Run("waiters", waiters)
	b.Run("renewals", renewals)
}

func oneCaller(b *testing.B) {
	q := bench.Start(b, 1)
	turns := alternate(b, []bench.Contestant{q.Redlock(), q.FanOut(b)}, 1, 9, 700*time.Millisecond)
	ours, theirs := turns[0], turns[1]
	for _, all := range [][]bench.Turn{ours, theirs} {
		show("one caller, lock+unlock", "%-18s median %v (%d failed)", all[0].Name, round(latency(all)), failed(all))
	}
	atMost(b, "redlock / fan-out", float64(latency(ours))/float64(latency(theirs)), maxLatency)
	atMost(b, "allocations", mallocs(ours), maxMallocs)
}

func manyCallers(b *testing.B) {
	const callers = 64
	q := bench.Start(b, callers)
	contestants := []bench.Contestant{q.Redlock(), q.Redsync(), q.RedsyncFailFast()}
	turns := alternate(b, contestants, callers, 7, time.Second)
	for _, all := range turns {
		show("64 callers, lock+unlock", "%-18s %.0f a second (%d failed)", all[0].Name, throughput(all), failed(all))
	}
	ours, better := turns[0], max(throughput(turns[1]), throughput(turns[2]))
	atLeast(b, "redlock / redsync's better mode", throughput(ours)/better, minThroughput)
	atMost(b, "allocations", mallocs(ours), maxMallocs)
}

// alternate gives each contestant its turn in each round. It returns the turns by
// contestant.
func alternate(b *testing.B, all []bench.Contestant, callers, rounds int, d time.Duration) [][]bench.Turn {
	b.Helper()
	for _, c := range all {
		c.For(b, callers, 200*time.Millisecond) // warm
	}
	turns := make([][]bench.Turn, len(all))
	for round := range rounds {
		for i := range all {
			next := (round + i) % len(all)
			turns[next] = append(turns[next], all[next].For(b, callers, d))
		}
	}
	return turns
}

// What is compared: the medians of the turns.

func latency(turns []bench.Turn) time.Duration { return median(turns, bench.Turn.Median) }

func throughput(turns []bench.Turn) float64 { return median(turns, bench.Turn.PerSecond) }

func mallocs(turns []bench.Turn) float64 { return median(turns, bench.Turn.MallocsPerPair) }

// median is that of a figure of all turns, or of all contests.
func median[S any, T time.Duration | float64](all []S, figure func(S) T) T {
	var values []T
	for _, one := range all {
		values = append(values, figure(one))
	}
	return bench.Median(values)
}

func failed(turns []bench.Turn) (n int) {
	for _, turn := range turns {
		n += turn.Failed
	}
	return n
}

// faults compares this library's operations with four servers and with five.
func faults(b *testing.B) {
	q := bench.Start(b, 1)
	q.Operations(b, during(200*time.Millisecond)) // warm
	for _, fault := range bench.Faults {
		var five, four sample
		for _, s := range q.Servers {
			five.add(q.Operations(b, during(500*time.Millisecond)))
			fault.Begin(b, s)
			// Long enough for the node to be given up, looked for and not found.
			four.add(q.Operations(b, during(4*time.Second)))
			fault.Repair(b, s)
			q.AwaitAll(b)
		}
		for _, operation := range slices.Sorted(maps.Keys(five.medians)) {
			all, rest := bench.Median(five.medians[operation]), bench.Median(four.medians[operation])
			show(fault.Name+", "+operation, "median %v, the largest %v; with all five %v, the largest %v",
				round(rest), round(four.largest[operation]), round(all), round(five.largest[operation]))
			atMost(b, "ratio of medians", float64(rest)/float64(all), maxFault)
		}
	}
}

// sample is what the turns of one kind came to, by operation.
type sample struct {
	medians map[string][]time.Duration // one a turn
	largest map[string]time.Duration   // of all turns
}

func (s *sample) add(timings bench.Timings) {
	if s.medians == nil {
		s.medians, s.largest = map[string][]time.Duration{}, map[string]time.Duration{}
	}
	for operation, took := range timings {
		s.medians[operation] = append(s.medians[operation], bench.Median(took))
		s.largest[operation] = max(s.largest[operation], slices.Max(took))
	}
}

func during(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().Before(end) }
}

func round(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

func show(what, format string, args ...any) {
	fmt.Printf("%-34s %s\n", what, fmt.Sprintf(format, args...))
}

func atMost(tb testing.TB, what string, have, bound float64) {
	tb.Helper()
	judge(tb, have <= bound, "%s %.2f, at most %g", what, have, bound)
}

func atLeast(tb testing.TB, what string, have, bound float64) {
	tb.Helper()
	judge(tb, have >= bound, "%s %.2f, at least %g", what, have, bound)
}

// judge prints a figure with its bound. One that is missed fails the run.
func judge(tb testing.TB, met bool, format string, args ...any) {
	tb.Helper()
	figure := fmt.Sprintf(format, args...)
	if met {
		fmt.Println("    ok    ", figure)
		return
	}
	fmt.Println("    MISSED", figure)
	tb.Error(figure)
}
