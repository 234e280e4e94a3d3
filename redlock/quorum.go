package redlock

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-multierror"
)

// tally counts the votes on one question. It does no I/O.
type tally struct {
	total  int // nodes configured, whatever their state
	yes    int
	no     int
	own    int // of no: the key held this very token before
	failed int
}

// majority is the quorum of total nodes.
func majority(total int) int { return total/2 + 1 }

func (t tally) open() int { return t.total - t.yes - t.no - t.failed }

// verdict is what the votes have decided.
type verdict uint8

const (
	undecided verdict = iota
	won               // a majority said yes
	beaten            // no majority can say yes, and no missing answer could have changed that
	noQuorum          // no majority can say yes any more; a node that failed could have turned it
)

// verdict is decided as soon as no vote that is still open can change it.
func (t tally) verdict() verdict {
	need := majority(t.total)
	switch {
	case t.yes >= need:
		return won
	case t.yes+t.failed+t.open() < need:
		return beaten
	case t.yes+t.open() < need && t.yes+t.failed >= need:
		return noQuorum
	}
	return undecided
}

// voted reports whether a majority of the nodes voted yes or no. Where they
// did, having no majority is contention, and may be waited out.
func (t tally) voted() bool { return t.yes+t.no >= majority(t.total) }

// What a caller may wait for.

// decided is enough for a verdict.
func decided(t tally) bool { return t.verdict() != undecided }

// judged is enough for a verdict, and to know whether a majority voted.
func judged(t tally) bool {
	return decided(t) && (t.verdict() != noQuorum || t.voted() || t.yes+t.no+t.open() < majority(t.total))
}

// complete is every node's vote.
func complete(t tally) bool { return t.open() == 0 }

// ballot is one question to all nodes and their votes on it. It outlives its
// caller: late votes are still counted, and a lock finds here which nodes may
// hold its key.
type ballot struct {
	commands []command // one per node, in node order
	enough   func(tally) bool
	over     atomic.Bool   // nobody needs what was not sent yet
	done     chan struct{} // capacity 1: the votes are enough
	onEnough func()        // called instead, by whoever casts the vote that is enough

	mu    sync.Mutex
	tally tally                  // guarded by mu, as is all below
	votes []vote                 // by node
	errs  []error                // by node; of the votes that failed
	rung  bool                   // they were enough
	each  func(node int, v vote) // told of each vote, those too that came too late; see onEach
}

// newBallot prepares a question to total nodes; the commands get their requests
// from the caller.
func newBallot(total int, enough func(tally) bool) *ballot {
	b := &ballot{
		commands: make([]command, total),
		enough:   enough,
		done:     make(chan struct{}, 1),
		tally:    tally{total: total},
		votes:    make([]vote, total),
	}
	for i := range b.commands {
		b.commands[i].to, b.commands[i].index = b, i
	}
	return b
}

// receive counts one node's vote. The first one counts.
func (b *ballot) receive(c *command, v vote, err error) {
	b.mu.Lock()
	enough := b.countLocked(c.index, v, err)
	each := b.each
	b.mu.Unlock()
	if enough {
		b.ring()
	}
	if each != nil {
		each(c.index, v)
	}
}

func (b *ballot) gone() bool { return b.over.Load() }

func (b *ballot) ring() {
	if b.onEnough != nil {
		b.onEnough()
		return
	}
	b.done <- struct{}{}
}

// countLocked reports whether with this vote they have become enough.
func (b *ballot) countLocked(node int, v vote, err error) bool {
	if b.votes[node] != pending {
		return false
	}
	b.votes[node] = v
	switch {
	case v == granted:
		b.tally.yes++
	case v.failed():
		b.tally.failed++
		if b.errs == nil {
			b.errs = make([]error, len(b.votes))
		}
		b.errs[node] = err
	default:
		b.tally.no++
		if v == own {
			b.tally.own++
		}
	}
	if b.rung || !b.enough(b.tally) {
		return false
	}
	b.rung = true
	return true
}

// wait returns the votes once they are enough. A node that has not answered
// within timeout has failed. It returns early, with what is there, when ctx or
// open ends.
func (b *ballot) wait(ctx, open context.Context, timeout time.Duration) tally {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-b.done:
	case <-timer.C:
		b.timeOut(timeout)
	case <-ctx.Done():
	case <-open.Done():
	}
	return b.sum()
}

// sum is the tally of what has been counted.
func (b *ballot) sum() tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally
}

func (b *ballot) timeOut(timeout time.Duration) {
	err := connErrorf("no answer within %v", timeout)
	enough := false
	b.mu.Lock()
	for i, v := range b.votes {
		if v == pending {
			enough = b.countLocked(i, unknown, err) || enough
		}
	}
	b.mu.Unlock()
	if enough {
		b.ring()
	}
}

// failures are the errors of the nodes that failed so far, in node order.
func (b *ballot) failures(nodes []*node) *multierror.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all *multierror.Error
	for i, err := range b.errs {
		if err != nil {
			all = multierror.Append(all, &NodeError{Node: nodes[i].name, Err: err})
		}
	}
	if all != nil {
		all.ErrorFormat = oneLine
	}
	return all
}

// grants are the nodes that said yes so far.
func (b *ballot) grants() (nodes []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, v := range b.votes {
		if v == granted {
			nodes = append(nodes, i)
		}
	}
	return nodes
}

// told is how many subscribers a release has told, on the node where it has told
// most.
func (b *ballot) told() (most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, v := range b.votes {
		if v == granted {
			most = max(most, int(b.commands[i].value)-1)
		}
	}
	return most
}

// freeIn is when a majority may be free by TTL, as the nodes that refused an
// acquire have told it; forever if too few did.
func (b *ballot) freeIn() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []time.Duration
	for i, v := range b.votes {
		switch {
		case v == granted:
			left = append(left, 0)
		case v == refused && b.commands[i].value < 0:
			value := max(b.commands[i].value, -maxTTL.Milliseconds()) // a Duration must not overflow
			left = append(left, time.Duration(1-value)*time.Millisecond)
		}
	}
	if need := majority(len(b.votes)); len(left) >= need {
		slices.Sort(left)
		return left[need-1]
	}
	return forever
}

// put sends req to all nodes. It never waits for one: a node that is up gets
// the command directly, the others have it queued or refuse it at once; their
// connecting is the nodes' own task.
func (m *Manager) put(b *ballot, req *request) {
	for i, n := range m.nodes {
		b.commands[i].req = req
		n.submit(&b.commands[i])
	}
}

// ask puts a question to all nodes and waits for its verdict.
func (m *Manager) ask(
	ctx context.Context, req *request, enough func(tally) bool, timeout time.Duration,
) (*ballot, tally) {
	b := newBallot(len(m.nodes), enough)
	m.put(b, req)
	t := b.wait(ctx, m.open, timeout)
	if t.verdict() != won {
		b.over.Store(true)
	}
	return b, t
}

// verdictError makes the error of a question that was not won.
func (m *Manager) verdictError(ctx context.Context, op, resource string, verdict error, b *ballot, t tally) error {
	if m.open.Err() != nil {
		return ErrClosed
	}
	return &QuorumError{
		Op: op, Resource: resource,
		Yes: t.yes, No: t.no, Failed: t.failed, Total: t.total,
		verdict: verdict, ended: ctx.Err(), nodes: b.failures(m.nodes),
	}
}
