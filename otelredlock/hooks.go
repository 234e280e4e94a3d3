package otelredlock

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/redlock-go/redlock/redlock"
)

const scope = "github.com/redlock-go/redlock/otelredlock"

// Option is a setting of [Hooks].
type Option interface{ option(*providers) error }

type optionFunc func(*providers) error

func (f optionFunc) option(p *providers) error { return f(p) }

// providers are what makes metrics and spans.
type providers struct {
	meters  metric.MeterProvider
	tracers trace.TracerProvider
}

// WithMeterProvider has the metrics made by provider. By default it is the
// global one, also where that is set later.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return optionFunc(func(p *providers) error {
		p.meters = provider
		return given(provider != nil, "WithMeterProvider")
	})
}

// WithTracerProvider has the spans made by provider. By default it is the
// global one, also where that is set later.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return optionFunc(func(p *providers) error {
		p.tracers = provider
		return given(provider != nil, "WithTracerProvider")
	})
}

func given(is bool, option string) error {
	if is {
		return nil
	}
	return &redlock.ConfigError{Field: option, Msg: "the provider is nil; leave the option out for the global one"}
}

// Hooks makes the hooks of one manager, for [redlock.WithHooks]. Those of
// several managers measure with the same instruments: their numbers add up, the
// status of a node too. The error is a *redlock.ConfigError for a bad option,
// and otherwise that of the meter provider.
func Hooks(opts ...Option) (redlock.Hooks, error) {
	p := providers{meters: otel.GetMeterProvider(), tracers: otel.GetTracerProvider()}
	for _, opt := range opts {
		if opt == nil {
			return redlock.Hooks{}, &redlock.ConfigError{Field: "options", Msg: "one of them is nil"}
		}
		if err := opt.option(&p); err != nil {
			return redlock.Hooks{}, err
		}
	}
	i, err := newInstruments(p.meters.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL)))
	if err != nil {
		return redlock.Hooks{}, fmt.Errorf("otelredlock: %w", err)
	}
	r := &recorder{
		instruments: i,
		tracer:      p.tracers.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
	}
	n := &nodes{instruments: i, votes: make(map[string]bool)}
	return redlock.Hooks{
		Acquired: r.acquired,
		Refused:  r.refused,
		Waited:   r.waited,
		Extended: r.extended,
		Released: r.released,
		Renewed:  r.renewed,
		Lost:     r.lost,
		NodeUp:   func(e redlock.NodeEvent) { n.turned(e.Node, true) },
		NodeDown: func(e redlock.NodeEvent) { n.turned(e.Node, false) },
	}, nil
}

// recorder turns the events of locks into measurements and spans.
type recorder struct {
	*instruments
	tracer trace.Tracer
	first  sync.Once
}

func (r *recorder) acquired(e redlock.LockEvent) {
	// A counter that begins with 1 is no increase to Prometheus. The global
	// provider may be set after Hooks, but hardly after the first lock.
	r.first.Do(func() {
		r.losses.Add(e.Context, 0, expired.measured)
		r.losses.Add(e.Context, 0, lost.measured)
	})
	r.held.Add(e.Context, 1)
	r.called(r.acquire, "redlock acquire", e)
}

func (r *recorder) refused(e redlock.LockEvent) { r.called(r.acquire, "redlock acquire", e) }

func (r *recorder) waited(e redlock.LockEvent) {
	measure(e.Context, r.wait, e.Duration, failureOf(e.Err))
}

func (r *recorder) extended(e redlock.LockEvent) { r.called(r.extend, "redlock extend", e) }

func (r *recorder) renewed(e redlock.LockEvent) {
	measure(e.Context, r.renewal, e.Duration, failureOf(e.Err))
}

// released is told of each lock that its holder, or Close, has ended.
func (r *recorder) released(e redlock.LockEvent) {
	var loss *failure
	if errors.Is(e.Err, redlock.ErrLost) { // whoever gave it back had it no more
		loss = failureOf(e.Err)
	}
	r.over(e, loss)
	if closed := e.Duration == 0 && e.Context == context.Background(); closed {
		return // no call has given it back
	}
	r.called(r.release, "redlock release", e)
}

// lost is told of each lock that nobody has given back.
func (r *recorder) lost(e redlock.LockEvent) { r.over(e, failureOf(e.Err)) }

// over counts a lock out. The library reports that a lock was released, or that
// it was lost: never both, and once.
func (r *recorder) over(e redlock.LockEvent, loss *failure) {
	r.held.Add(e.Context, -1)
	measure(e.Context, r.hold, e.Held, loss)
	if loss != nil {
		r.losses.Add(e.Context, 1, loss.measured)
	}
}

// called measures and traces a call that has returned.
func (r *recorder) called(duration metric.Float64Histogram, name string, e redlock.LockEvent) {
	f := failureOf(e.Err)
	measure(e.Context, duration, e.Duration, f)
	r.span(name, e, f)
}
