package otelredlock

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/redlock-go/redlock/redlock"
)

const resourceKey = attribute.Key("redlock.resource")

// span makes the span of a call that has just returned. The attributes are there
// from its start: a sampler may decide by them. The kind is Client, as it is of
// the calls of a database: https://opentelemetry.io/docs/specs/semconv/db/database-spans/
func (r *recorder) span(name string, e redlock.LockEvent, f *failure) {
	end := time.Now()
	attributes := []attribute.KeyValue{resourceKey.String(e.Resource)}
	if f != nil {
		attributes = append(attributes, f.errorType)
	}
	_, span := r.tracer.Start(e.Context, name,
		trace.WithTimestamp(end.Add(-e.Duration)),
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attributes...))
	if f != nil && !f.answer && span.IsRecording() {
		span.SetStatus(codes.Error, e.Err.Error())
	}
	span.End(trace.WithTimestamp(end))
}
