package otelredlock_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redlock-go/redlock/otelredlock"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

const (
	// never is a TTL that no test waits for.
	never = time.Hour

	// patience is a NodeTimeout that a busy machine does not use up.
	patience = 5 * time.Second
)

// gauge is what hooks have measured and traced.
type gauge struct {
	t      *testing.T
	hooks  redlock.Hooks
	reader *sdkmetric.ManualReader
	spans  *tracetest.InMemoryExporter
	tracer *sdktrace.TracerProvider
}

func newGauge(t *testing.T) *gauge {
	t.Helper()
	g := &gauge{t: t, reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	g.tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(g.spans))
	hooks, err := otelredlock.Hooks(
		otelredlock.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(g.reader))),
		otelredlock.WithTracerProvider(g.tracer))
	if err != nil {
		t.Fatal(err)
	}
	g.hooks = hooks
	return g
}

// metrics are those that have a value, by name.
func (g *gauge) metrics() map[string]metricdata.Metrics {
	g.t.Helper()
	var all metricdata.ResourceMetrics
	if err := g.reader.Collect(context.Background(), &all); err != nil {
		g.t.Fatal(err)
	}
	byName := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// counts are the values of a counter, or how often a histogram was measured, by
// the attributes.
type counts map[string]int64

func (g *gauge) counts(name string) counts {
	g.t.Helper()
	m, found := g.metrics()[name]
	if !found {
		g.t.Errorf("%s was never measured", name)
	}
	c := counts{}
	key := func(set attribute.Set) string { return set.Encoded(attribute.DefaultEncoder()) }
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			c[key(p.Attributes)] = p.Value
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			c[key(p.Attributes)] = int64(p.Count)
		}
	}
	return c
}

func (g *gauge) want(name string, want counts) {
	g.t.Helper()
	if got := g.counts(name); !maps.Equal(got, want) {
		g.t.Errorf("%s: got %v, want %v", name, got, want)
	}
}

// bed is a manager that is measured, on nodes in memory.
type bed struct {
	*gauge
	*redlock.Manager
	quorum *redlocktest.Quorum
	other  *redlock.Manager // of another process, on the same nodes

	// What no call reports, once it was measured.
	lost    chan redlock.LockEvent
	renewed chan redlock.LockEvent
	turned  chan redlock.NodeEvent
}

func newBed(t *testing.T, nodes int) *bed {
	t.Helper()
	b := &bed{
		gauge:   newGauge(t),
		quorum:  redlocktest.New(t, nodes),
		lost:    make(chan redlock.LockEvent, 2*locks),
		renewed: make(chan redlock.LockEvent, 2*locks),
		turned:  make(chan redlock.NodeEvent, 2*locks),
	}
	hooks := b.hooks
	hooks.Lost = then(hooks.Lost, b.lost)
	hooks.Renewed = then(hooks.Renewed, b.renewed)
	hooks.NodeUp = then(hooks.NodeUp, b.turned)
	hooks.NodeDown = then(hooks.NodeDown, b.turned)
	b.Manager = b.manager(redlock.WithHooks(hooks))
	b.other = b.manager()
	return b
}

// then passes on what hook was told.
func then[E any](hook func(E), events chan<- E) func(E) {
	return func(e E) {
		hook(e)
		events <- e
	}
}

func (b *bed) manager(opts ...redlock.Option) *redlock.Manager {
	b.t.Helper()
	m, err := redlock.New(redlock.Config{Nodes: b.quorum.Nodes(), NodeTimeout: patience}, opts...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		// Nobody waits for keys on nodes that end with the test.
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = m.Close(ended)
	})
	return m
}

func (b *bed) mustLock(resource string, opts ...redlock.LockOption) *redlock.Lock {
	b.t.Helper()
	lock, err := b.TryLock(b.t.Context(), resource, opts...)
	if err != nil {
		b.t.Fatal(err)
	}
	return lock
}
