package fakeredis

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// Node is one Redis server and the wires that lead to it. Its methods may be
// called at any time, from the functions given to OnCommand and OnMessage too;
// Close alone must not be called from there.
type Node struct {
	net     *Net
	address string
	done    chan struct{} // closed by Close
	tasks   sync.WaitGroup

	// mu guards the node, its wires and both ends of its connections. The test's
	// own functions are called without it.
	mu      sync.Mutex
	changed *sync.Cond // the node has work, or a dial may go on

	// What follows is guarded by mu.

	store     *miniredis.Miniredis
	commands  *server.Server
	clock     clock
	ticked    time.Time  // the clock, when the data was last moved to it
	current   *session   // whose command is being executed; nil: the test's own
	sessions  []*session // by id; those too that have closed, while anything may still be sent
	arrivals  []arrival
	pushes    []push // not sent yet
	lastID    int
	log       []Command
	executed  map[string]int
	closed    bool
	down      bool // no process
	paused    bool // a process that is stopped
	stalled   bool
	blackhole bool
	requests  route
	replies   route
	mute      bool
	buffer    int
	onCommand func(Command) Action
	settings

	subscribers map[string][]*session // by channel, in the order in which they subscribed
}

// settings is what a server is told by its configuration.
type settings struct {
	runID       string
	role        string
	mode        string
	users       map[string]string // passwords
	failures    map[string]string // by command
	idle        time.Duration
	maxClients  int
	replicas    int
	replication time.Duration
}

// defaultBuffer is what the kernels hold of one direction.
const defaultBuffer = 256 << 10

func newNode(nt *Net, address string) (*Node, error) {
	clock := newClock()
	n := &Node{
		net:      nt,
		address:  address,
		done:     make(chan struct{}),
		store:    miniredis.NewMiniRedis(),
		clock:    clock,
		ticked:   clock.base,
		executed: make(map[string]int),
		buffer:   defaultBuffer,
		settings: settings{
			runID:    nt.nextRunID(),
			role:     "master",
			mode:     "standalone",
			users:    make(map[string]string),
			failures: make(map[string]string),
		},
		subscribers: make(map[string][]*session),
	}
	n.changed = sync.NewCond(&n.mu)
	// A first connection is what starts a miniredis without a listener. Commands
	// are dispatched to it without any connection.
	c, err := n.store.Dial()
	if err != nil {
		return nil, err
	}
	_ = c.Close()
	n.commands = n.store.Server()
	n.commands.SetPreHook(n.intercept)
	n.tasks.Go(n.serve)
	return n, nil
}

// Close ends the node for good: its connections are reset, and its goroutines
// are gone when it returns.
func (n *Node) Close() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.stop()
	n.closed = true
	close(n.done)
	n.changed.Broadcast()
	n.mu.Unlock()
	n.tasks.Wait()
	n.store.Close()
}

// Kill ends the process: connections are reset, what they brought and was not
// executed is lost, dials are refused. The data is kept for Start.
func (n *Node) Kill() { n.set(n.stop) }

func (n *Node) stop() {
	for _, s := range slices.Clone(n.sessions) {
		n.hangUp(s, syscall.ECONNRESET)
	}
	n.down, n.paused = true, false
	n.changed.Broadcast()
}

// Start begins a new process with the data of the last one: a new run_id, no
// scripts, client ids from 1. A process that still runs is killed before. After
// Close it does nothing.
func (n *Node) Start() { n.start(false) }

// StartEmpty is Start without the data.
func (n *Node) StartEmpty() { n.start(true) }

func (n *Node) start(empty bool) {
	id := n.net.nextRunID()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.stop()
	n.down, n.lastID, n.runID = false, 0, id
	n.do("SCRIPT", "FLUSH")
	if empty {
		n.do("FLUSHALL")
	}
}

// Pause stops the process, as SIGSTOP does: its kernel accepts connections and
// bytes, and nothing is executed before Resume. Then all of it is, that of
// clients which have closed since included.
func (n *Node) Pause() { n.set(func() { n.paused = true }) }

// Resume lets a paused process go on.
func (n *Node) Resume() { n.set(func() { n.paused = false }) }

// Stall holds what is on the wires, and dials; lifted, all is delivered late.
// It is a network that is cut for a while.
func (n *Node) Stall(on bool) {
	n.set(func() {
		n.stalled = on
		for _, s := range slices.Clone(n.sessions) {
			s.conn.up.deliver()
			s.down.deliver()
		}
	})
}

// Blackhole loses what is sent, and holds dials. A connection on which
// something was lost stays open and silent, also when the fault is lifted:
// TCP delivers nothing behind a hole.
func (n *Node) Blackhole(on bool) { n.set(func() { n.blackhole = on }) }

// DropReplies loses replies and pushes alone: commands arrive and are executed.
// Of the connections the same is true as of Blackhole.
func (n *Node) DropReplies(on bool) { n.set(func() { n.replies.lossy = on }) }

// SetMute loses what is published. Subscribers get all else, and are counted as
// if they had been told.
func (n *Node) SetMute(on bool) { n.set(func() { n.mute = on }) }

// SetDelay sets how long requests and replies are under way from now on.
func (n *Node) SetDelay(request, reply time.Duration) {
	n.set(func() { n.requests.delay, n.replies.delay = request, reply })
}

// SetJitter makes each packet of either direction later by up to d from now on.
// They keep their order.
func (n *Node) SetJitter(d time.Duration) {
	n.set(func() { n.requests.jitter, n.replies.jitter = d, d })
}

// SetBuffer sets how many bytes of a client the kernels take before its writes
// block. Defaults to 256 KiB.
func (n *Node) SetBuffer(bytes int) { n.set(func() { n.buffer = bytes }) }

// OnCommand has f decide what becomes of each command, in the moment in which
// the node would execute it. f is called by one goroutine. Nil: all pass.
func (n *Node) OnCommand(f func(Command) Action) { n.set(func() { n.onCommand = f }) }

// FailWith answers a command with an error line such as "OOM command not
// allowed", also inside a script; an empty line ends that. The command is a
// name (set), a name with its subcommand (client|kill), or * for all of them
// except those that a server answers while it loads its data.
func (n *Node) FailWith(command, line string) {
	n.set(func() {
		if line == "" {
			delete(n.failures, strings.ToUpper(command))
			return
		}
		n.failures[strings.ToUpper(command)] = line
	})
}

// Deny has the user lack the right to a command, named as for FailWith.
func (n *Node) Deny(command string) {
	n.FailWith(command, fmt.Sprintf("NOPERM User default has no permissions to run the '%s' command", command))
}

// KillClients closes every connection from the server's side.
func (n *Node) KillClients() {
	n.set(func() {
		for _, s := range slices.Clone(n.sessions) {
			n.hangUp(s, io.EOF)
		}
	})
}

// SetIdleTimeout has the server close a connection that was silent for d, like
// its setting timeout, from the connection's next command on. 0: never.
func (n *Node) SetIdleTimeout(d time.Duration) { n.set(func() { n.idle = d }) }

// SetMaxClients bounds the connections. 0: no bound.
func (n *Node) SetMaxClients(k int) { n.set(func() { n.maxClients = k }) }

// SetRole makes the node a "master" or a "slave", and that a writable one.
func (n *Node) SetRole(role string) { n.set(func() { n.role = role }) }

// SetMode makes the node "standalone", "sentinel" or "cluster".
func (n *Node) SetMode(mode string) { n.set(func() { n.mode = mode }) }

// SetPassword demands a password of connections from now on. Empty: none.
func (n *Node) SetPassword(password string) { n.SetUser("default", password) }

// SetUser adds a user, or changes the password of one. A user whose password is
// empty has none, and may log in with any.
func (n *Node) SetUser(name, password string) { n.set(func() { n.users[name] = password }) }

// SetRunID sets the run_id, for two addresses that are one server.
func (n *Node) SetRunID(id string) { n.set(func() { n.runID = id }) }

// SetReplicas sets how many replicas confirm a write, and after how long.
func (n *Node) SetReplicas(k int, delay time.Duration) {
	n.set(func() { n.replicas, n.replication = k, delay })
}

// AdvanceClock makes the node's wall clock jump, backwards if d is negative.
func (n *Node) AdvanceClock(d time.Duration) { n.set(func() { n.clock.advance(d) }) }

// SetClockRate makes the node's clock run at rate times the true speed.
func (n *Node) SetClockRate(rate float64) { n.set(func() { n.clock.setRate(rate) }) }

func (n *Node) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	n.changed.Broadcast()
}

// dial makes a connection. The kernel accepts it, whatever the process does.
func (n *Node) dial(ctx context.Context, network string) (*conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer context.AfterFunc(ctx, n.wake)()
	for (n.stalled || n.blackhole) && ctx.Err() == nil {
		n.changed.Wait()
	}
	if trip := n.requests.delay + n.replies.delay; trip > 0 {
		there := time.Now().Add(trip)
		defer time.AfterFunc(trip, n.wake).Stop()
		for time.Now().Before(there) && ctx.Err() == nil {
			n.changed.Wait()
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if n.down {
		return nil, syscall.ECONNREFUSED
	}
	return n.accept(network), nil
}

func (n *Node) wake() { n.set(func() {}) }
