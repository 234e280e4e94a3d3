package otelredlock

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// A node's name is no server.address: it has the port and the database too, or
// is what Sentinel calls it.
const (
	nodeNameKey  = attribute.Key("redlock.node.name")
	nodeStateKey = attribute.Key("redlock.node.state")
)

// nodes turns the changes of nodes into measurements. A node has a series for
// each state, 1 or 0:
// https://opentelemetry.io/docs/specs/semconv/how-to-write-conventions/status-metrics/
type nodes struct {
	*instruments

	mu    sync.Mutex
	votes map[string]bool // by name, once it was heard of; guarded by mu
}

// turned is told that a node votes, or that it does not. What it knows already
// comes from another manager that has the same hooks.
func (n *nodes) turned(name string, votes bool) {
	n.mu.Lock()
	before, known := n.votes[name]
	n.votes[name] = votes
	n.mu.Unlock()
	if known && before == votes {
		return
	}
	var left int64
	if known {
		left = -1
	}
	ctx := context.Background()
	n.status.Add(ctx, 1, inState(name, votes))
	n.status.Add(ctx, left, inState(name, !votes))
	n.transitions.Add(ctx, 1, inState(name, votes))
}

func inState(name string, votes bool) metric.MeasurementOption {
	state := "down"
	if votes {
		state = "up"
	}
	return metric.WithAttributeSet(attribute.NewSet(nodeNameKey.String(name), nodeStateKey.String(state)))
}
