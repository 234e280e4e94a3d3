package redlocktest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
	"github.com/redlock-go/redlock/redlock"
)

// nodeTimeout is far more than a node in memory takes, on a busy machine too.
const nodeTimeout = 5 * time.Second

// Quorum is a number of nodes in memory with a manager that takes locks on
// them. It is safe for concurrent use.
type Quorum struct {
	// Manager has default settings, but for a NodeTimeout of 5s, so that a busy
	// machine costs no node its vote. That is how long a call lasts where a
	// majority is paused, unless its ctx or the lock ends before. Who needs other
	// settings, or a second process, makes a manager with Nodes.
	Manager *redlock.Manager

	net   *fakeredis.Net
	nodes []*node
}

// node is one server in memory.
type node struct {
	*fakeredis.Node

	mu      sync.Mutex
	stopped bool // guarded by mu
}

// New starts n nodes that end with the test. In a synctest bubble it is called
// inside of the bubble.
func New(t testing.TB, n int) *Quorum {
	t.Helper()
	q, err := Start(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// Start is [New] for programs that are no tests. The caller closes the quorum.
func Start(n int) (*Quorum, error) {
	q := &Quorum{net: fakeredis.NewNet()}
	for i := range n {
		started, err := q.net.Add(fmt.Sprintf("%s:%d", host(i), port))
		if err != nil {
			q.Close()
			return nil, fmt.Errorf("redlocktest: node %d: %w", i, err)
		}
		q.nodes = append(q.nodes, &node{Node: started})
	}
	m, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: nodeTimeout})
	if err != nil {
		q.Close()
		return nil, err
	}
	q.Manager = m
	return q, nil
}

// host is a name that no name server knows (RFC 6761, section 6.2): who dials it
// past the Dialer reaches nobody.
func host(i int) string { return fmt.Sprintf("node%d.test", i) }

const port = 6379

// Nodes are the nodes for [redlock.Config]. Their Dialer leads to them from
// within this process alone.
func (q *Quorum) Nodes() []redlock.Node {
	nodes := make([]redlock.Node, len(q.nodes))
	for i := range q.nodes {
		nodes[i] = redlock.Node{Host: host(i), Port: port, Dialer: q.net.DialContext}
	}
	return nodes
}

// StopNode ends node i as a crash does: its connections break, new ones are
// refused, and its keys are gone. Stopping a stopped node does nothing.
func (q *Quorum) StopNode(i int) {
	n := q.nodes[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
	n.Kill()
}

// StartNode starts a stopped node again, empty and at its old address. A manager
// that has found it stopped counts its vote again within a second. Starting a
// node that runs, or is paused, does nothing.
func (q *Quorum) StartNode(i int) {
	n := q.nodes[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		n.stopped = false
		n.StartEmpty()
	}
}

// PauseNode freezes node i as a SIGSTOP or a stalled machine does: it answers
// nothing, while its connections stay and new ones are accepted. Pausing a
// stopped node does nothing.
func (q *Quorum) PauseNode(i int) { q.nodes[i].Pause() }

// ResumeNode lets a paused node go on: it executes first what it was sent
// meanwhile, by clients too that have given up since. Resuming a node that is not
// paused does nothing.
func (q *Quorum) ResumeNode(i int) { q.nodes[i].Resume() }

// Advance sets the clocks of all nodes forward by d, so that keys expire. It does
// not move the time of whoever holds a lock: that stays Valid until its holder
// asks the nodes, or until its end. In a synctest bubble time.Sleep moves the time
// of both: nodes follow the bubble's clock.
func (q *Quorum) Advance(d time.Duration) {
	for _, n := range q.nodes {
		n.AdvanceClock(d)
	}
}

// Close closes Manager and ends the nodes, for good. Locks that are still held
// are over. Closing twice does nothing.
func (q *Quorum) Close() {
	if q.Manager != nil {
		// Nobody needs to wait for keys whose nodes end next, and that is all
		// that Close could fail at.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = q.Manager.Close(ctx)
	}
	for _, n := range q.nodes {
		n.Close()
	}
}
