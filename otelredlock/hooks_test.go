package otelredlock_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redlock-go/redlock/otelredlock"
	"github.com/redlock-go/redlock/redlock"
)

func TestEveryErrorHasATypeAndThoseThatAreAnswersAreNoErrorsOfASpan(t *testing.T) {
	t.Parallel()
	both := func(a, b error) error { return fmt.Errorf("%w: %w", a, b) }
	for _, c := range []struct {
		err       error
		errorType string
		status    codes.Code
	}{
		{nil, "", codes.Unset},
		{redlock.ErrTaken, "taken", codes.Unset},
		{redlock.ErrAlreadyHeld, "already_held", codes.Unset},
		{redlock.ErrReleased, "released", codes.Unset},
		{redlock.ErrNoQuorum, "no_quorum", codes.Error},
		{redlock.ErrExpired, "expired", codes.Error},
		{redlock.ErrLost, "lost", codes.Error},
		{redlock.ErrNotHeld, "not_held", codes.Error},
		{redlock.ErrClosed, "closed", codes.Error},
		{&redlock.ConfigError{Field: "max_hold", Msg: "is too long"}, "config", codes.Error},
		{context.DeadlineExceeded, "deadline_exceeded", codes.Error},
		{context.Canceled, "canceled", codes.Error},
		{errors.New("out of paper"), "_OTHER", codes.Error},

		{both(redlock.ErrTaken, context.DeadlineExceeded), "taken", codes.Unset},
		{both(redlock.ErrNoQuorum, context.Canceled), "no_quorum", codes.Error},
		{both(redlock.ErrNoQuorum, &redlock.ConfigError{Field: "nodes[0]", Msg: "is no Redis"}), "no_quorum", codes.Error},
	} {
		g := newGauge(t)
		g.hooks.Refused(redlock.LockEvent{Context: t.Context(), Resource: "report", Err: c.err})
		key := ""
		if c.errorType != "" {
			key = "error.type=" + c.errorType
		}
		g.want("redlock.acquire.duration", counts{key: 1})
		span := g.spans.GetSpans()[0]
		if got := attributes(span)["error.type"]; got != c.errorType {
			t.Errorf("%v: the span has the type %q, want %q", c.err, got, c.errorType)
		}
		if span.Status.Code != c.status {
			t.Errorf("%v: the span has the status %v, want %v", c.err, span.Status.Code, c.status)
		}
		if c.status == codes.Error && span.Status.Description != c.err.Error() {
			t.Errorf("the span describes %q as %q", c.err, span.Status.Description)
		}
	}
}

func TestASpanEndsNowAndHasBegunWhenItsCallDid(t *testing.T) {
	t.Parallel()
	g := newGauge(t)
	before := time.Now()
	g.hooks.Extended(redlock.LockEvent{Context: t.Context(), Resource: "report", Duration: time.Hour})
	after := time.Now()
	span := g.spans.GetSpans()[0]
	if span.EndTime.Before(before) || span.EndTime.After(after) {
		t.Errorf("it ends at %v, which is not from %v to %v", span.EndTime, before, after)
	}
	if took := span.EndTime.Sub(span.StartTime); took != time.Hour {
		t.Errorf("it took %v, want 1h", took)
	}
}

func TestMetricsHaveNoAttributeThatCanHaveAnyNumberOfValues(t *testing.T) {
	t.Parallel()
	g := newGauge(t)
	everything(g.hooks)
	allowed := []attribute.Key{"error.type", "redlock.node.name", "redlock.node.state"}
	for name, m := range g.metrics() {
		for _, set := range attributeSets(m) {
			for _, a := range set.ToSlice() {
				if !slices.Contains(allowed, a.Key) || strings.Contains(a.Value.String(), resource) {
					t.Errorf("%s has the attribute %v", name, a)
				}
			}
		}
	}
}

func TestDurationsAreInSecondsFromATenthOfAMillisecondToAMinute(t *testing.T) {
	t.Parallel()
	g := newGauge(t)
	everything(g.hooks)
	histograms := 0
	for name, m := range g.metrics() {
		h, ok := m.Data.(metricdata.Histogram[float64])
		if ok != strings.HasSuffix(name, ".duration") || ok != (m.Unit == "s") {
			t.Errorf("%s is a %T of the unit %q", name, m.Data, m.Unit)
		}
		if !ok {
			continue
		}
		histograms++
		bounds := h.DataPoints[0].Bounds
		if bounds[0] != 0.0001 || bounds[len(bounds)-1] != 60 || !slices.IsSorted(bounds) {
			t.Errorf("%s has the boundaries %v", name, bounds)
		}
		want := 2.0
		if name == "redlock.hold.duration" {
			want = 3
		}
		for _, p := range h.DataPoints {
			if mean := p.Sum / float64(p.Count); mean != want {
				t.Errorf("%s: %v s were measured as %v", name, want, mean)
			}
		}
	}
	if histograms != 6 {
		t.Errorf("there are %d durations, want 6", histograms)
	}
}

func TestThePackageCommentNamesEveryMetric(t *testing.T) {
	t.Parallel()
	g := newGauge(t)
	everything(g.hooks)
	emitted := slices.Sorted(maps.Keys(g.metrics()))
	named := matches(t, "doc.go", `(?m)^//\t(redlock\.[a-z.]+) `)
	slices.Sort(named)
	if !slices.Equal(emitted, named) {
		t.Errorf("emitted are\n%q, and named are\n%q", emitted, named)
	}
}

func TestThePackageCommentNamesEveryErrorType(t *testing.T) {
	t.Parallel()
	named := matches(t, "doc.go", `[a-z_]+`)
	types := matches(t, "failure.go", `newFailure\("(\w+)"`)
	if len(types) < 10 {
		t.Fatalf("only %q were found", types)
	}
	for _, errorType := range types {
		if !slices.Contains(named, errorType) {
			t.Errorf("%s is not named", errorType)
		}
	}
}

// matches are what the last group of the pattern, or all of it, matches in a
// file.
func matches(t *testing.T, file, pattern string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		all = append(all, match[len(match)-1])
	}
	return all
}

func TestTheGlobalProvidersAreUsedAlsoIfTheyAreSetLater(t *testing.T) {
	hooks, err := otelredlock.Hooks()
	if err != nil {
		t.Fatal(err)
	}
	g := global()
	g.t = t
	runs++
	hooks.Acquired(redlock.LockEvent{Context: t.Context(), Resource: resource})
	g.want("redlock.lock.held", counts{"": runs})
	if spans := len(g.spans.GetSpans()); spans != int(runs) {
		t.Errorf("got %d spans, want %d", spans, runs)
	}
}

// global sets the global providers. What was made before uses them too, but only
// the first that are set.
var global = sync.OnceValue(func() *gauge {
	g := &gauge{reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(g.reader)))
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(g.spans)))
	return g
})

// runs of the test that uses them.
var runs int64

func TestOptionsWithoutAProviderAreRefused(t *testing.T) {
	t.Parallel()
	for field, opt := range map[string]otelredlock.Option{
		"WithMeterProvider":  otelredlock.WithMeterProvider(nil),
		"WithTracerProvider": otelredlock.WithTracerProvider(nil),
		"options":            nil,
	} {
		_, err := otelredlock.Hooks(opt)
		var config *redlock.ConfigError
		if !errors.As(err, &config) || config.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

const resource = "a resource"

// everything calls each hook, with and without an error, so that each metric
// has all its attributes. Each call took 2 s, and each lock was held for 3.
func everything(hooks redlock.Hooks) {
	e := redlock.LockEvent{
		Context: context.Background(), Resource: resource, Carry: resource,
		Duration: 2 * time.Second, Held: 3 * time.Second,
	}
	for _, hook := range []func(redlock.LockEvent){
		hooks.Waited, hooks.Acquired, hooks.Extended, hooks.Renewed, hooks.Released,
	} {
		hook(e)
	}
	e.Err = fmt.Errorf("redlock: %q: %w", resource, redlock.ErrLost)
	for _, hook := range []func(redlock.LockEvent){
		hooks.Waited, hooks.Refused, hooks.Extended, hooks.Renewed, hooks.Released, hooks.Lost,
	} {
		hook(e)
	}
	hooks.NodeUp(redlock.NodeEvent{Node: "10.0.0.1:6379"})
	hooks.NodeDown(redlock.NodeEvent{Node: "10.0.0.1:6379", Err: errors.New("gone")})
}

// attributeSets are those of the data points of a metric.
func attributeSets(m metricdata.Metrics) (sets []attribute.Set) {
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	return sets
}

// attributes are those of a span, as text.
func attributes(span tracetest.SpanStub) map[string]string {
	text := map[string]string{}
	for _, a := range span.Attributes {
		text[string(a.Key)] = a.Value.String()
	}
	return text
}
