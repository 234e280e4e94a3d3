package check

import (
	"testing"
	"time"

	"github.com/redlock-go/redlock/test/bench"
)

const (
	maxHandOff      = time.Millisecond // from one process to another, the median
	minAcquisitions = 1.2              // times rueidislock's, 64 callers of one process
	maxWait         = 1.3              // times callers x cycle, the 99th of 100
	minFairness     = 0.95             // Jain's index, one process
	minFairnessOf8  = 0.9              // and 8 processes
)

// The contenders for one resource. Redsync is shown for comparison; it polls.
const (
	ours    = "redlock"
	theirs  = "rueidislock"
	polling = "redsync"
)

// compete gives each contender its turn in each round. It returns the contests by
// contender.
func compete(b *testing.B, processes, rounds int, job bench.Job) map[string][]bench.Contest {
	b.Helper()
	q := bench.Start(b, 1)
	all := []string{ours, theirs, polling}
	contests := map[string][]bench.Contest{}
	for round := range rounds {
		for i := range all {
			job.Contender = all[(round+i)%len(all)]
			contests[job.Contender] = append(contests[job.Contender], q.Compete(b, processes, job))
		}
	}
	return contests
}

// handOff holds the resource for long enough that the other process waits, and
// rests for long enough that it gets it.
func handOff(b *testing.B) {
	contests := compete(b, 2, 5, bench.Job{
		Callers: 1, Hold: 5 * time.Millisecond, Rest: 2 * time.Millisecond, For: 2 * time.Second,
	})
	typical := func(c bench.Contest) time.Duration { return bench.Median(c.HandOffs()) }
	for _, name := range []string{ours, theirs, polling} {
		n := 0
		for _, c := range contests[name] {
			n += len(c.HandOffs())
		}
		show("hand-off between two processes", "%-18s median %v of %d", name, round(median(contests[name], typical)), n)
	}
	have := median(contests[ours], typical)
	atMost(b, "milliseconds", float64(have)/float64(time.Millisecond), float64(maxHandOff/time.Millisecond))
	atMost(b, "redlock / rueidislock", float64(have)/float64(median(contests[theirs], typical)), 1)
}

func oneProcess(b *testing.B) {
	const callers = 64
	contests := compete(b, 1, 5, bench.Job{Callers: callers, Hold: time.Millisecond, For: 3 * time.Second})
	longest := func(c bench.Contest) float64 {
		waits, cycle := c.Waits(), 1/c.PerSecond()
		return waits[len(waits)*99/100].Seconds() / (callers * cycle)
	}
	fairness := func(c bench.Contest) float64 { _, callers := c.Fairness(); return callers }
	for _, name := range []string{ours, theirs, polling} {
		show("64 callers, one resource", "%-18s %.0f a second, p99 %.2f x callers x cycle, fairness %.3f", name,
			median(contests[name], bench.Contest.PerSecond), median(contests[name], longest), median(contests[name], fairness))
	}
	have, better := median(contests[ours], bench.Contest.PerSecond), median(contests[theirs], bench.Contest.PerSecond)
	atLeast(b, "redlock / rueidislock", have/better, minAcquisitions)
	atMost(b, "p99 / (callers x cycle)", median(contests[ours], longest), maxWait)
	atLeast(b, "fairness", median(contests[ours], fairness), minFairness)
}

func eightProcesses(b *testing.B) {
	contests := compete(b, 8, 3, bench.Job{Callers: 8, Hold: time.Millisecond, For: 5 * time.Second})
	processes := func(c bench.Contest) float64 { processes, _ := c.Fairness(); return processes }
	callers := func(c bench.Contest) float64 { _, callers := c.Fairness(); return callers }
	for _, name := range []string{ours, theirs, polling} {
		all := contests[name]
		show("8 processes x 8 callers", "%-18s %.0f a second, fairness %.3f over processes, %.3f over callers", name,
			median(all, bench.Contest.PerSecond), median(all, processes), median(all, callers))
	}
	atLeast(b, "fairness over processes", median(contests[ours], processes), minFairnessOf8)
	atLeast(b, "fairness over callers", median(contests[ours], callers), minFairnessOf8)
}
