package otelredlock_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redlock-go/redlock/otelredlock"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

// A service sets its global providers, with the exporters of its choice, and
// needs no options. Here metrics and spans stay in memory.
func ExampleHooks() {
	ctx := context.Background()
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	metrics, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()

	hooks, err := otelredlock.Hooks(
		otelredlock.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(metrics))),
		otelredlock.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))))
	if err != nil {
		log.Fatal(err)
	}
	m, err := redlock.New(redlock.Config{Nodes: q.Nodes()}, redlock.WithHooks(hooks))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.TryLock(ctx, "report"); err != nil {
		log.Fatal(err)
	}
	_, err = m.TryLock(ctx, "report")
	fmt.Println("the second caller finds it taken:", errors.Is(err, redlock.ErrTaken))
	for _, span := range spans.GetSpans() {
		fmt.Print(span.Name, ":")
		for _, a := range span.Attributes {
			fmt.Printf(" %s=%s", a.Key, a.Value.AsString())
		}
		fmt.Println()
	}
	fmt.Println("locks held:", held(ctx, metrics))
	if err := m.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("locks held:", held(ctx, metrics))
	// Output:
	// the second caller finds it taken: true
	// redlock acquire: redlock.resource=report
	// redlock acquire: redlock.resource=report error.type=taken
	// locks held: 1
	// locks held: 0
}

// held reads the number of locks that are held.
func held(ctx context.Context, reader *sdkmetric.ManualReader) int64 {
	var all metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &all); err != nil {
		log.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name == "redlock.lock.held" {
			return m.Data.(metricdata.Sum[int64]).DataPoints[0].Value
		}
	}
	return -1
}
