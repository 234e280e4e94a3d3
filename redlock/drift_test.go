package redlock

import (
	"testing"
	"time"
)

func TestDriftIsRoundedUpToWholeNanoseconds(t *testing.T) {
	for _, row := range []struct {
		ttl    time.Duration
		factor float64
		want   time.Duration
	}{
		{10 * time.Second, 0.01, 102 * time.Millisecond},
		{time.Second, 0, 2 * time.Millisecond},
		{3, 0.01, 2*time.Millisecond + 1},
		{time.Second, 0.5, 502 * time.Millisecond},
	} {
		if got := drift(row.ttl, row.factor); got != row.want {
			t.Errorf("drift(%v, %v): got %v, want %v", row.ttl, row.factor, got, row.want)
		}
	}
}

func TestTheValidityIsTheTTLLessDriftAndMargin(t *testing.T) {
	start := time.Now()
	got := trustedUntil(start, 10*time.Second, 0.01, 3*time.Second).Sub(start)
	if want := 10*time.Second - 102*time.Millisecond - 3*time.Second; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheTTLForAValidityLeavesAtLeastThatValidity(t *testing.T) {
	start := time.Now()
	for _, factor := range []float64{0, 0.01, 0.3, 0.99} {
		for _, validity := range []time.Duration{1, time.Millisecond, 1234567, time.Hour} {
			ttl := ttlFor(validity, factor, time.Second)
			if ttl%time.Millisecond != 0 {
				t.Errorf("%v is not in whole milliseconds", ttl)
			}
			left := trustedUntil(start, ttl, factor, time.Second).Sub(start)
			if left < validity || left > validity+2*time.Millisecond {
				t.Errorf("factor %v: asked for %v, got %v", factor, validity, left)
			}
		}
	}
}

func TestATTLIsNeverCutToNothing(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		1: time.Millisecond, time.Millisecond: time.Millisecond, time.Millisecond + 1: 2 * time.Millisecond,
	} {
		if got := wholeMilliseconds(ttl); got != want {
			t.Errorf("%d: got %v, want %v", ttl, got, want)
		}
	}
}

func TestALockIsOverWhenEitherClockSaysSo(t *testing.T) {
	now := time.Now()
	wallOnly := func(d time.Duration) time.Time { return now.Add(d).Round(0) }
	if !before(now, now.Add(time.Second)) {
		t.Error("a second is left by both clocks")
	}
	if before(now, now) {
		t.Error("the moment itself is over")
	}
	if before(now, wallOnly(-time.Second)) {
		t.Error("the wall clock has passed it")
	}
	if got := remaining(now, now.Add(-time.Second)); got != 0 {
		t.Errorf("remaining is negative: %v", got)
	}
}
