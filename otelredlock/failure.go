package otelredlock

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/redlock-go/redlock/redlock"
)

// failure is a way to end without success. There are few, so that they can be
// told apart in metrics.
type failure struct {
	errorType attribute.KeyValue
	measured  metric.MeasurementOption // errorType, made once: it costs allocations
	answer    bool                     // it is what the caller wanted to know
}

func newFailure(name string, answer bool) *failure {
	errorType := semconv.ErrorTypeKey.String(name)
	return &failure{errorType, metric.WithAttributeSet(attribute.NewSet(errorType)), answer}
}

var (
	expired = newFailure("expired", false)
	lost    = newFailure("lost", false)
	config  = newFailure("config", false)
	other   = newFailure(semconv.ErrorTypeOther.Value.AsString(), false)
)

// failures are in the order in which an error is looked for: a verdict before
// what stands beside it, and an error before the more general one that it
// matches too.
var failures = []struct {
	err error
	is  *failure
}{
	{redlock.ErrAlreadyHeld, newFailure("already_held", true)},
	{redlock.ErrTaken, newFailure("taken", true)},
	{redlock.ErrNoQuorum, newFailure("no_quorum", false)},
	{redlock.ErrExpired, expired},
	{redlock.ErrLost, lost},
	{redlock.ErrReleased, newFailure("released", true)},
	{redlock.ErrNotHeld, newFailure("not_held", false)},
	{redlock.ErrClosed, newFailure("closed", false)},
	{context.DeadlineExceeded, newFailure("deadline_exceeded", false)},
	{context.Canceled, newFailure("canceled", false)},
}

// failureOf is nil for no error.
func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return f.is
		}
	}
	if errors.As(err, new(*redlock.ConfigError)) {
		return config
	}
	return other
}
