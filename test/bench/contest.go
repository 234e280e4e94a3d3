package bench

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Contest is what became of one resource that several processes wanted.
type Contest struct {
	Processes [][][]Holding // by process and caller, in order
	For       time.Duration
}

// all are the holdings in the order in which they began, each with its process.
func (c Contest) all() []held {
	var all []held
	for process, callers := range c.Processes {
		for _, holdings := range callers {
			for _, h := range holdings {
				all = append(all, held{h, process})
			}
		}
	}
	slices.SortFunc(all, func(a, b held) int { return cmp.Compare(a.Taken, b.Taken) })
	return all
}

type held struct {
	Holding
	process int
}

// overlap is an error if two callers held the resource at the same time.
func (c Contest) overlap() error {
	all := c.all()
	for i := 1; i < len(all); i++ {
		if before, h := all[i-1], all[i]; h.Taken < before.Given {
			return fmt.Errorf("two callers held it at once, for %v", time.Duration(before.Given-h.Taken))
		}
	}
	return nil
}

// PerSecond is how often a second the resource was taken.
func (c Contest) PerSecond() float64 { return float64(len(c.all())) / c.For.Seconds() }

// HandOffs are the times from a release to the end of the call that waited for it
// in another process.
func (c Contest) HandOffs() []time.Duration {
	var took []time.Duration
	all := c.all()
	for i := 1; i < len(all); i++ {
		if before, h := all[i-1], all[i]; h.process != before.process && h.Asked < before.Given {
			took = append(took, time.Duration(h.Taken-before.Given))
		}
	}
	return took
}

// Waits are the times that callers waited, in ascending order.
func (c Contest) Waits() []time.Duration {
	var waits []time.Duration
	for _, h := range c.all() {
		waits = append(waits, time.Duration(h.Taken-h.Asked))
	}
	slices.Sort(waits)
	return waits
}

// Fairness is Jain's index over what each process got, and over what each caller
// got: 1 if all got the same, one over their number if one got everything.
func (c Contest) Fairness() (processes, callers float64) {
	var perProcess, perCaller []int
	for _, callers := range c.Processes {
		sum := 0
		for _, holdings := range callers {
			sum += len(holdings)
			perCaller = append(perCaller, len(holdings))
		}
		perProcess = append(perProcess, sum)
	}
	return jain(perProcess), jain(perCaller)
}

// jain is the index of R. Jain, D. Chiu and W. Hawe, "A Quantitative Measure of
// Fairness and Discrimination for Resource Allocation in Shared Computer
// Systems", DEC-TR-301, 1984.
func jain(shares []int) float64 {
	var sum, squares float64
	for _, share := range shares {
		sum += float64(share)
		squares += float64(share) * float64(share)
	}
	return sum * sum / (float64(len(shares)) * squares)
}
