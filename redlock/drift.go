package redlock

import (
	"math"
	"math/rand/v2"
	"time"
)

// driftFloor is added to every drift: the precision of the nodes' expiry is one
// millisecond, and a reply is no faster than that on a busy machine. The
// Redlock specification's reference implementation adds the same.
const driftFloor = 2 * time.Millisecond

// drift is how much earlier than the nodes the holder must think the lock over:
// a node's clock may run fast by factor while ours runs right. It is rounded up
// to whole nanoseconds.
func drift(ttl time.Duration, factor float64) time.Duration {
	return time.Duration(math.Ceil(float64(ttl)*factor)) + driftFloor
}

// validity is what is left of ttl for the holder. The formula is the Redlock
// specification's; margin is taken off on top of it.
func validity(ttl time.Duration, factor float64, margin time.Duration) time.Duration {
	return ttl - drift(ttl, factor) - margin
}

// trustedUntil is the moment up to which the holder may trust a lock that the
// nodes keep for ttl, where start was read before the first request left.
func trustedUntil(start time.Time, ttl time.Duration, factor float64, margin time.Duration) time.Time {
	return start.Add(validity(ttl, factor, margin))
}

// ttlFor is the inverse: the TTL to ask for so that, counted from the start, at
// least validity is left when drift and margin have been taken off.
func ttlFor(validity time.Duration, factor float64, margin time.Duration) time.Duration {
	return wholeMilliseconds(time.Duration(math.Ceil(float64(validity+driftFloor+margin) / (1 - factor))))
}

// wholeMilliseconds rounds up: what is sent is what is computed with, and a TTL
// must never be cut to nothing.
func wholeMilliseconds(d time.Duration) time.Duration {
	if over := d % time.Millisecond; over > 0 {
		return d + time.Millisecond - over
	}
	return d
}

// before reports whether now is before t by both clocks. The monotonic clock
// stands still while a machine is suspended; the wall clock may be set back.
func before(now, t time.Time) bool {
	return now.Before(t) && now.Round(0).Before(t.Round(0))
}

// remaining is what is left until t by the clock that says less, never
// negative.
func remaining(now, t time.Time) time.Duration {
	return max(0, min(t.Sub(now), t.Round(0).Sub(now.Round(0))))
}

// jitter is random between 0 and d, both included, so that clients do not act
// in step.
func jitter(d time.Duration) time.Duration {
	return rand.N(d + 1) //nolint:gosec // it spreads load and guards nothing
}
