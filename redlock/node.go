package redlock

import (
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	// maxCommands and maxBytes bound what waits for one node: written and not
	// answered, or not yet written. A node that has stalled answers "no" at once
	// beyond that, at the cost of its own vote alone.
	maxCommands = 8192
	maxBytes    = 4 << 20

	// maxOwed bounds the acquires of one node that may be executed and are not
	// known to be undone. Each acquire reserves its place here before it is sent.
	maxOwed = 8192
)

var errWithdrawn = errors.New("released before it was sent")

var errStalled = errors.New("too many commands are waiting for its answers")

// nodeState is what a node is doing about its connection.
type nodeState uint8

const (
	idle       nodeState = iota // not used yet: no connection before the first call
	connecting                  // commands wait for the connection
	up
	down // commands are refused at once, and the node is probed
)

// node is one server as the manager knows it: the queue of commands for it, the
// connection that they go out on, and the keys that it is owed a release for.
//
// One goroutine, run, connects, watches and reconnects, from the first command
// until the manager closes.
type node struct {
	m        *Manager
	index    int
	cfg      Node
	name     string
	db       string        // the number of its database
	silence  time.Duration // how old the oldest unanswered command may become
	wait     *request      // of a node with replicas: ends a batch
	wake     chan struct{} // of a user's client, capacity 1: its worker has something to do
	sentinel *sentinel     // nil for a plain node
	ear      *ear
	history  []string  // the run_ids seen, in order; run's own
	once     sync.Once // of the warning that it does not tell its run_id
	votes    bool      // what the hooks were told; run's own
	reported time.Time // when; zero: never

	mu      sync.Mutex
	state   nodeState          // guarded by mu, as is all below
	cause   error              // why it is down
	queue   []*command         // not written yet
	bytes   int                // of what is queued and in flight
	stream  *stream            // nil unless up
	owed    int                // acquires reserved and debts
	debts   map[*debt]struct{} // what the reaper is to settle
	settled chan struct{}      // capacity 1: a debt is gone; Close listens
	past    []*stream          // ended with acquires in flight, and not known to be gone at the server
}

func newNode(m *Manager, index int, name string) *node {
	cfg := m.cfg.Nodes[index]
	n := &node{
		m:       m,
		index:   index,
		cfg:     cfg,
		name:    name,
		db:      strconv.Itoa(cfg.database()),
		silence: max(time.Second, 4*m.nodeTimeout(m.cfg.TTL)),
		debts:   make(map[*debt]struct{}),
		settled: make(chan struct{}, 1),
	}
	n.ear = newEar(n)
	if len(cfg.Sentinels) > 0 {
		n.sentinel = newSentinel(m, cfg, n.path())
	}
	if cfg.client != nil {
		n.wake = make(chan struct{}, 1)
	}
	if cfg.Replicas > 0 {
		wait := waitRequest(cfg.Replicas, m.nodeTimeout(m.cfg.TTL)*3/4)
		n.wait = &wait
	}
	return n
}

// submit queues c, or votes for it at once where it cannot be sent. It never
// waits: what it writes itself goes out where nothing is in flight, so there is
// room for it in the socket's buffer.
func (n *node) submit(c *command) {
	n.mu.Lock()
	if v, err := n.refusalLocked(c); err != nil {
		if c.debt != nil {
			n.scheduleLocked(c.debt, time.Now())
		}
		n.mu.Unlock()
		n.tell(c, v, err)
		return
	}
	s := n.enqueueLocked(c)
	n.mu.Unlock()
	if s != nil {
		s.flush()
		<-s.turn
	}
}

// refusalLocked says why c cannot be sent to the node now.
func (n *node) refusalLocked(c *command) (vote, error) {
	if c.withdrawn {
		return rejected, errWithdrawn
	}
	if n.state == down {
		if errors.As(n.cause, new(*ConfigError)) {
			return misconfigured, n.cause
		}
		return rejected, n.cause
	}
	if c.debt != nil {
		return pending, nil // its acquire has reserved the room
	}
	waiting := len(n.queue)
	if n.stream != nil {
		waiting += len(n.stream.flight)
	}
	if waiting >= maxCommands || n.bytes >= maxBytes || c.req.kind == acquire && n.owed >= maxOwed {
		return rejected, errStalled
	}
	return pending, nil
}

// enqueueLocked queues c. It returns the stream, with its turn held, if nothing
// is in flight there and the caller is to write c itself.
func (n *node) enqueueLocked(c *command) *stream {
	c.reserved = c.req.reserves()
	if c.reserved {
		n.owed++
	}
	n.pushLocked(c)
	if n.state == idle {
		n.state = connecting
		n.m.tasks.Go(func() error { n.run(n.m.life); return nil })
	}
	s := n.stream
	if s == nil || n.wake != nil {
		wakeUp(n.wake)
		return nil
	}
	if len(s.flight) == 0 && len(n.queue) == 1 && !c.followed && s.tryTurn() {
		return s
	}
	wakeUp(s.wake)
	return nil
}

func (n *node) pushLocked(c *command) {
	c.state = queued
	n.queue = append(n.queue, c)
	n.bytes += len(c.req.body)
}

// dropLocked forgets a command that was never written.
func (n *node) dropLocked(c *command) {
	c.state = unsent
	n.bytes -= len(c.req.body)
	n.unreserveLocked(c)
}

func (n *node) unreserveLocked(c *command) {
	if c.reserved {
		c.reserved = false
		n.oweLocked(-1)
	}
}

func (n *node) oweLocked(by int) {
	n.owed += by
	wakeUp(n.settled)
}

// answerLocked notes the vote of a command that was in flight. It returns the one
// that counts.
func (n *node) answerLocked(c *command, v vote) vote {
	c.state, c.vote = answered, v
	n.bytes -= len(c.req.body)
	if c.req.kind == acquire {
		c.doneAt = time.Now()
	}
	n.unreserveLocked(c) // granted: a key that is held; refused: nothing there
	if c.undo != nil {
		n.excuseLocked(c.undo, v)
	}
	if c.kills != nil && !v.failed() {
		c.kills.gone = true
	}
	if c.debt != nil {
		return n.settleLocked(c, v)
	}
	return v
}

// loseLocked notes that the connection of a command has ended before its answer
// came: its fate is unknown.
func (n *node) loseLocked(c *command, now time.Time) {
	c.state, c.vote = lost, unknown
	n.bytes -= len(c.req.body)
	if c.debt != nil {
		c.debt.unsure = true
		n.scheduleLocked(c.debt, now)
	}
}

// doubtLocked ends the connection to a server that is no longer the master, or
// where our user is no longer logged in: it is made anew.
func (n *node) doubtLocked(err error) {
	if n.sentinel != nil && hasCode(err, "READONLY", "MASTERDOWN") || hasCode(err, "NOAUTH") {
		n.stream.end(err)
	}
}

// resendsLocked queues a script once more, in full, on a node that did not know
// its digest. Nothing was executed, so this replays nothing. An acquire whose
// release is under way is not sent again.
func (n *node) resendsLocked(c *command, err error) bool {
	if !hasCode(err, "NOSCRIPT") || c.spelled || c.req.kind == acquire && c.droppable() {
		return false
	}
	c.spelled, c.state = true, queued
	n.queue = append(n.queue, c)
	wakeUp(n.stream.wake)
	return true
}

// tell hands a vote to whoever waits for it. What will not heal by itself
// becomes a ConfigError that says which node's setting is wrong.
func (n *node) tell(c *command, v vote, err error) {
	if v == misconfigured && !errors.As(err, new(*ConfigError)) {
		err = n.refusal(err)
	}
	c.tell(v, err)
}

// refusal is the error of a server that will not execute a command, whatever is
// done but to mend the settings.
func (n *node) refusal(err error) *ConfigError {
	return configErrorf(n.path(), "expected that a lock's commands are allowed, but %s refuses the command: %v",
		n.name, err)
}
