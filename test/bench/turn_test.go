package bench_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/test/bench"
)

func TestATryThatFailedIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failures, pairs = 3, 7
		tries := 0
		c := bench.Contestant{Name: "unlucky", Caller: func(string) bench.Pair {
			return func(context.Context) error {
				if tries++; tries <= failures {
					return errors.New("not this time")
				}
				time.Sleep(time.Millisecond)
				return nil
			}
		}}
		turn := c.For(t, 1, pairs*time.Millisecond)
		if turn.Failed != failures || len(turn.Latencies) != pairs {
			t.Errorf("of %d tries %d were counted and %d were not", tries, len(turn.Latencies), turn.Failed)
		}
	})
}

func TestEachCallerHasAResourceOfItsOwn(t *testing.T) {
	const callers = 8
	resources := map[string]bool{}
	c := bench.Contestant{Name: "any", Caller: func(resource string) bench.Pair {
		resources[resource] = true
		return func(context.Context) error { return nil }
	}}
	c.For(t, callers, time.Millisecond)
	if len(resources) != callers {
		t.Errorf("%d callers have %d resources", callers, len(resources))
	}
}

func TestTheMedianIsTheMiddleOfTheValuesInOrder(t *testing.T) {
	for _, c := range []struct {
		values []time.Duration
		want   time.Duration
	}{
		{[]time.Duration{7}, 7},
		{[]time.Duration{9, 1, 5}, 5},
		{[]time.Duration{4, 3, 2, 1}, 3},
	} {
		if got := bench.Median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}
