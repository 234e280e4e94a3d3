package check

import (
	"math"
	"testing"
)

// verdict is a test that only remembers whether it has failed.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Helper()      {}
func (v *verdict) Error(...any) { v.failed = true }

func TestABoundThatIsMissedFailsTheRun(t *testing.T) {
	for _, c := range []struct {
		judge       func(testing.TB, string, float64, float64)
		have, bound float64
		failed      bool
	}{
		{atMost, 0.9, 1, false},
		{atMost, 1, 1, false},
		{atMost, 1.001, 1, true},
		{atMost, math.NaN(), 1, true},
		{atLeast, 6, 6, false},
		{atLeast, 5.999, 6, true},
		{atLeast, math.NaN(), 6, true},
	} {
		v := &verdict{TB: t}
		c.judge(v, "figure", c.have, c.bound)
		if v.failed != c.failed {
			t.Errorf("%v with the bound %v: failed: %t, want %t", c.have, c.bound, v.failed, c.failed)
		}
	}
}
