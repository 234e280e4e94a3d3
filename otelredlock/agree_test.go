package otelredlock_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/redlock-go/redlock/redlock"
)

const (
	locks   = 10_000
	stories = 20 // the locks are taken for these in turn
	share   = locks / stories
	workers = 8
)

func TestSpansAndMetricsOfTenThousandLocksAgreeWithWhatTheCallsHaveReturned(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	ctx, parent := b.tracer.Tracer("test").Start(t.Context(), "test")
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < locks; i += workers {
				if err := b.live(ctx, fmt.Sprint("job:", i), i%stories); err != nil {
					t.Errorf("lock %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	for range 2 * share { // stories 0 and 1
		<-b.lost
	}

	b.want("redlock.acquire.duration", counts{"": locks, "error.type=taken": 2 * share})
	b.want("redlock.extend.duration", counts{"": share, "error.type=lost": share})
	b.want("redlock.release.duration", counts{"": locks - 3*share, "error.type=lost": share})
	b.want("redlock.hold.duration", counts{
		"": locks - 3*share, "error.type=expired": share, "error.type=lost": 2 * share,
	})
	b.want("redlock.lock.losses", counts{"error.type=expired": share, "error.type=lost": 2 * share})
	b.want("redlock.lock.held", counts{"": 0})
	b.wantSpans(parent.SpanContext(), counts{
		"redlock acquire Unset ": locks, "redlock acquire Unset taken": 2 * share,
		"redlock extend Unset ": share, "redlock extend Error lost": share,
		"redlock release Unset ": locks - 3*share, "redlock release Error lost": share,
	})
	b.wantSameTimes()
}

// live takes a lock and plays a story with it. It fails where a call does not
// return what the story expects.
func (b *bed) live(ctx context.Context, resource string, story int) error {
	var opts []redlock.LockOption
	if story == 0 {
		opts = append(opts, redlock.WithTTL(2*time.Second))
	}
	lock, err := b.TryLock(ctx, resource, opts...)
	if err != nil {
		return err
	}
	switch story {
	case 0: // nobody gives it back
		return nil
	case 1, 2: // somebody drops it
		if err := b.other.ForceUnlock(ctx, resource); err != nil {
			return err
		}
		if story == 1 {
			return expect(lock.Extend(ctx, 0), redlock.ErrLost)
		}
		return expect(lock.Unlock(ctx), redlock.ErrLost)
	case 3: // others want it, and it is given back twice
		for range 2 {
			if _, err := b.TryLock(ctx, resource); !errors.Is(err, redlock.ErrTaken) {
				return expect(err, redlock.ErrTaken)
			}
		}
		if err := errors.Join(lock.Extend(ctx, 0), lock.Unlock(ctx)); err != nil {
			return err
		}
		return expect(lock.Unlock(ctx), redlock.ErrReleased)
	}
	return lock.Unlock(ctx)
}

func expect(got, want error) error {
	if errors.Is(got, want) {
		return nil
	}
	return fmt.Errorf("got %w, want %w", got, want)
}

// wantSpans counts the spans by name, status and error.type. Each must be a
// child of parent, and name its resource.
func (g *gauge) wantSpans(parent trace.SpanContext, want counts) {
	g.t.Helper()
	got := counts{}
	for _, span := range g.spans.GetSpans() {
		if span.Parent.SpanID() != parent.SpanID() || span.Parent.TraceID() != parent.TraceID() {
			g.t.Fatalf("%s is no child of the span of its call", span.Name)
		}
		if span.SpanKind != trace.SpanKindClient {
			g.t.Fatalf("%s is of kind %v", span.Name, span.SpanKind)
		}
		if (span.Status.Code == codes.Error) != (span.Status.Description != "") {
			g.t.Fatalf("%s has the status %v", span.Name, span.Status)
		}
		text := attributes(span)
		if text["redlock.resource"] == "" {
			g.t.Fatalf("%s has the attributes %v", span.Name, text)
		}
		got[fmt.Sprintf("%s %v %s", span.Name, span.Status.Code, text["error.type"])]++
	}
	if !maps.Equal(got, want) {
		g.t.Errorf("got the spans %v, want %v", got, want)
	}
}

// wantSameTimes compares the spans of each kind with the histogram of that name.
func (g *gauge) wantSameTimes() {
	g.t.Helper()
	spans := map[string]float64{}
	for _, span := range g.spans.GetSpans() {
		spans[span.Name] += span.EndTime.Sub(span.StartTime).Seconds()
	}
	measured := g.metrics()
	for span, name := range map[string]string{
		"redlock acquire": "redlock.acquire.duration",
		"redlock extend":  "redlock.extend.duration",
		"redlock release": "redlock.release.duration",
	} {
		sum := 0.0
		for _, p := range measured[name].Data.(metricdata.Histogram[float64]).DataPoints {
			sum += p.Sum
		}
		if sum <= 0 || math.Abs(sum-spans[span]) > sum/1e6 {
			g.t.Errorf("%s: %v s in spans, %v s in the metric", span, spans[span], sum)
		}
	}
}
