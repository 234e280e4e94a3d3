// Package fakeredis is a network of Redis nodes in memory, for unit tests in
// fake time and for package redlocktest. It works inside a testing/synctest
// bubble and outside of one.
//
// A client dials with Net.DialContext and speaks RESP2. Between it and a node
// lie two wires, one a direction, that behave as TCP does: what is written
// arrives in order or not at all, also after the client has closed; a peer that
// does not read blocks the writer in the end; nothing behind lost bytes is ever
// delivered. Delays, stalls and losses are set on the wires of a node.
//
// A node has one goroutine, as Redis has one thread: it takes what has arrived,
// from all connections in the order of arrival, asks the test what to do with
// each command (Node.OnCommand), and executes it. What identifies a server,
// a client or a user is answered here, and so is who subscribes to what; data
// and Lua are miniredis', whose clock the node moves.
package fakeredis

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
)

// Net is an in-memory network with Redis nodes on it.
type Net struct {
	mu    sync.Mutex
	nodes map[string]*Node // guarded by mu
	runs  int              // run_ids given out; guarded by mu

	order     sync.Mutex  // held while a message is announced: they have an order
	messages  int         // guarded by order
	onMessage func(k int) // guarded by order
}

// NewNet returns a network without nodes.
func NewNet() *Net {
	return &Net{nodes: make(map[string]*Node)}
}

// Start is Add for tests: the node is closed when t ends.
func (nt *Net) Start(t testing.TB, address string) *Node {
	t.Helper()
	n, err := nt.Add(address)
	if err != nil {
		t.Fatalf("fakeredis: %v", err)
	}
	t.Cleanup(n.Close)
	return n
}

// Add starts an empty node at address, which is host:port or the path of a unix
// socket. The caller closes it.
func (nt *Net) Add(address string) (*Node, error) {
	n, err := newNode(nt, address)
	if err != nil {
		return nil, err
	}
	nt.mu.Lock()
	nt.nodes[address] = n
	nt.mu.Unlock()
	return n, nil
}

// DialContext connects to the node at address. Where none runs the connection
// is refused; where the node does not answer, it waits for ctx.
func (nt *Net) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nt.mu.Lock()
	n := nt.nodes[address]
	nt.mu.Unlock()
	err := error(syscall.ECONNREFUSED)
	if n != nil {
		var c *conn
		if c, err = n.dial(ctx, network); err == nil {
			return c, nil
		}
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: addr{network, address}, Err: err}
}

// OnMessage calls f with the number k of each message, before it has an effect:
// a command that a node is about to look at, a reply or a push that it is about
// to send. The messages of all nodes are counted together, from 1, and announced
// one at a time. f must not wait for an answer of a node.
func (nt *Net) OnMessage(f func(k int)) {
	nt.order.Lock()
	defer nt.order.Unlock()
	nt.messages, nt.onMessage = 0, f
}

func (nt *Net) announce() {
	nt.order.Lock()
	defer nt.order.Unlock()
	nt.messages++
	if nt.onMessage != nil {
		nt.onMessage(nt.messages)
	}
}

// nextRunID returns a run_id that no node has had: the same ones in every run
// of a test.
func (nt *Net) nextRunID() string {
	nt.mu.Lock()
	defer nt.mu.Unlock()
	nt.runs++
	return fmt.Sprintf("%040x", nt.runs)
}

type addr struct{ network, text string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.text }
