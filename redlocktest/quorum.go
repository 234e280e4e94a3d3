// Package redlocktest runs a quorum of Redis nodes in memory, for tests of code
// that takes locks, and for trying things out:
//
//	func TestInvoiceIsSentOnce(t *testing.T) {
//		q := redlocktest.New(t, 5)
//		service := NewService(q.Manager)
//		...
//	}
//
// The nodes are servers in this process that listen on loopback. They speak the
// protocol of Redis, run the library's scripts, and let keys expire as time
// passes. A node can be stopped and started again while locks are held: that is
// how a test shows what a service does when it loses one.
//
// Everything ends with the test. Each call of [New] makes nodes of its own, so
// tests can run in parallel.
package redlocktest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// Quorum is a number of nodes in memory with a manager that takes locks on
// them. It is safe for concurrent use.
type Quorum struct {
	// Manager has default settings, but for a long NodeTimeout: a node that runs
	// is waited for on a busy machine too, and one that has stopped refuses at
	// once. Who needs other settings, or a second process, makes a manager with
	// Nodes.
	Manager *redlock.Manager

	nodes []*node
}

// New starts n nodes that end with the test.
func New(t testing.TB, n int) *Quorum {
	t.Helper()
	q, err := Start(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

const nodeTimeout = 5 * time.Second

// Start is [New] for programs that are no tests. The caller closes the quorum.
func Start(n int) (*Quorum, error) {
	q := &Quorum{}
	for range n {
		started, err := startNode()
		if err != nil {
			q.Close()
			return nil, err
		}
		q.nodes = append(q.nodes, started)
	}
	m, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: nodeTimeout})
	if err != nil {
		q.Close()
		return nil, err
	}
	q.Manager = m
	return q, nil
}

// Nodes are the nodes' addresses, for [redlock.Config].
func (q *Quorum) Nodes() []redlock.Node {
	nodes := make([]redlock.Node, len(q.nodes))
	for i, n := range q.nodes {
		nodes[i] = n.address()
	}
	return nodes
}

// StopNode ends node i as a crash does: its connections break, new ones are
// refused, and its keys are gone. Stopping a stopped node does nothing.
func (q *Quorum) StopNode(i int) { q.nodes[i].stop() }

// StartNode starts a stopped node again, empty and at its old address. Starting
// a running one does nothing.
func (q *Quorum) StartNode(i int) error {
	if err := q.nodes[i].start(); err != nil {
		return fmt.Errorf("redlocktest: node %d: %w", i, err)
	}
	return nil
}

// Close closes Manager and ends the nodes. Locks that are still held are over.
func (q *Quorum) Close() {
	if q.Manager != nil {
		// Nobody needs to wait for keys whose nodes end next, and that is all
		// that Close could fail at.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = q.Manager.Close(ctx)
	}
	for _, n := range q.nodes {
		n.stop()
	}
}
