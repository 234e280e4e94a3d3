package fakeredis

import "time"

// clock is a node's wall clock. It follows the real one, or the bubble's.
type clock struct {
	base time.Time // what it showed
	at   time.Time // at this real time
	rate float64
}

func newClock() clock {
	now := time.Now()
	return clock{base: now, at: now, rate: 1}
}

func (c *clock) now() time.Time {
	passed := time.Since(c.at)
	// The product is of the difference, so that a rate of 1 is exact.
	return c.base.Add(passed + time.Duration(float64(passed)*(c.rate-1)))
}

func (c *clock) advance(d time.Duration) {
	c.base, c.at = c.now().Add(d), time.Now()
}

func (c *clock) setRate(rate float64) {
	c.advance(0)
	c.rate = rate
}
