package bench

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestWhatAContestCameTo(t *testing.T) {
	c := Contest{For: 2 * time.Second, Processes: [][][]Holding{
		{{{0, 10, 20}, {61, 70, 80}}, {{5, 40, 50}}},
		{{{15, 25, 30}}, {{65, 85, 90}}},
	}}
	if err := c.overlap(); err != nil {
		t.Error(err)
	}
	// 20 to 25, and 80 to 85; at 30 the next one is of another process, too; after
	// 50 nobody waited.
	if got, want := c.HandOffs(), []time.Duration{5, 10, 5}; !slices.Equal(got, want) {
		t.Errorf("the hand-offs took %v, want %v", got, want)
	}
	if got, want := c.Waits(), []time.Duration{9, 10, 10, 20, 35}; !slices.Equal(got, want) {
		t.Errorf("the waits are %v, want %v", got, want)
	}
	if got := c.PerSecond(); got != 2.5 {
		t.Errorf("%v a second, want 2.5", got)
	}
	processes, callers := c.Fairness()
	if want := 25.0 / (2 * 13); math.Abs(processes-want) > 1e-9 {
		t.Errorf("the index over processes is %v, want %v", processes, want)
	}
	if want := 25.0 / (4 * 7); math.Abs(callers-want) > 1e-9 {
		t.Errorf("the index over callers is %v, want %v", callers, want)
	}
}

func TestTwoHoldersAtOnceAreFound(t *testing.T) {
	c := Contest{Processes: [][][]Holding{{{{0, 10, 20}}}, {{{0, 19, 30}}}}}
	if c.overlap() == nil {
		t.Error("an overlap was not found")
	}
}
