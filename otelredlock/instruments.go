package otelredlock

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// boundaries of all histograms: from a round trip on loopback to the longest
// wait that a caller is likely to bear.
var boundaries = []float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
	0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
}

// instruments are named by the conventions of OpenTelemetry:
// https://opentelemetry.io/docs/specs/semconv/general/naming/
type instruments struct {
	acquire, wait, extend, renewal, release, hold metric.Float64Histogram

	held        metric.Int64UpDownCounter
	losses      metric.Int64Counter
	status      metric.Int64UpDownCounter
	transitions metric.Int64Counter
}

func newInstruments(meter metric.Meter) (*instruments, error) {
	var failed error
	duration := func(name, description string) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(boundaries...))
		failed = errors.Join(failed, err)
		return h
	}
	count := func(name, unit, description string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = errors.Join(failed, err)
		return c
	}
	current := func(name, unit, description string) metric.Int64UpDownCounter {
		c, err := meter.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = errors.Join(failed, err)
		return c
	}
	i := &instruments{
		acquire: duration("redlock.acquire.duration", "Duration of calls that take a lock, waiting included."),
		wait:    duration("redlock.wait.duration", "Duration of calls that had to wait for a lock."),
		extend:  duration("redlock.extend.duration", "Duration of calls that extend a lock."),
		renewal: duration("redlock.renewal.duration", "Duration of automatic renewals."),
		release: duration("redlock.release.duration", "Duration of calls that give a lock back."),
		hold:    duration("redlock.hold.duration", "How long locks were held."),

		held:   current("redlock.lock.held", "{lock}", "Number of locks that are held."),
		losses: count("redlock.lock.losses", "{loss}", "Number of locks that were over before they were given back."),

		status:      current("redlock.node.status", "{node}", "1 for the state that a node is in, 0 for the other."),
		transitions: count("redlock.node.transitions", "{transition}", "How often a node has come into a state."),
	}
	return i, failed
}

// measure records how long something took, and how it failed if it did.
func measure(ctx context.Context, h metric.Float64Histogram, d time.Duration, f *failure) {
	if f == nil {
		h.Record(ctx, d.Seconds())
		return
	}
	h.Record(ctx, d.Seconds(), f.measured)
}
