package redlock

import (
	"slices"
	"time"
)

const (
	// reapTick is how often a node looks at what it is owed, and at its stream.
	reapTick = 250 * time.Millisecond

	// firstPause comes before a release is repeated, and doubles each time.
	firstPause = 50 * time.Millisecond

	// afterlife is added to a TTL before a key is taken to have lapsed: the node's
	// clock may be slow, and a reply may have been long on its way.
	afterlife = time.Second
)

// debt is a release that one node owes an answer for. It is settled when the
// key is known to be gone for good.
//
// A new connection does not settle the past: an acquire that was sent on an
// older one may be executed after a release that was sent on the new one. See
// proves.
type debt struct {
	acquire *command
	request *request
	lapse   time.Time     // when the key is gone by itself, if the acquire has been executed; zero: never
	span    time.Duration // the longest TTL that a node was asked for
	given   bool          // the caller chose the token: a try that is lost is released only where it was granted
	once    bool          // the release is sent once, and never repeated

	// What follows is guarded by the node's mu.

	counted bool // in the node's owed
	settled bool
	deleted bool      // by us, or by a release whose answer was lost
	unsure  bool      // a release was sent whose answer was lost
	asking  bool      // a release is queued or in flight
	due     time.Time // when to ask again
	pause   time.Duration
	met     time.Time // when the node first answered on a connection after the acquire's
}

// releases reports whether the debt is for key under token.
func (d *debt) releases(key, token string) bool {
	return d.request.key == key && d.request.token == token
}

// release asks the node to delete the key that the debt's acquire may have made
// there. With all, a node that cannot have it is asked too, for its vote.
func (n *node) release(d *debt, c *command, all bool) {
	n.mu.Lock()
	switch d.acquire.state {
	case queued:
		n.dropLocked(d.acquire)
	case unsent:
		d.acquire.withdrawn = true
	}
	settled, owing := d.settled, d.acquire.mayExist(d.given && !all)
	if owing && !settled {
		n.countLocked(d)
		d.asking = true
		c.debt, d.acquire.undo = d, d
	}
	n.mu.Unlock()
	switch {
	case settled:
		n.tell(c, d.outcome(), nil)
	case owing, all:
		n.submit(c)
	}
}

// mayExist reports whether the acquire c may have made its key, or, with sure,
// whether it has.
func (c *command) mayExist(sure bool) bool {
	switch c.state {
	case sent, lost:
		return !sure || c.vote == granted // by one of several copies
	case answered:
		return c.vote == granted
	}
	return false
}

// outcome is the vote where there is nothing left to delete.
func (d *debt) outcome() vote {
	if d.deleted {
		return granted
	}
	return refused
}

// countLocked moves the room that the acquire reserved to the debt.
func (n *node) countLocked(d *debt) {
	if d.counted {
		return
	}
	d.counted = true
	if d.acquire.reserved {
		d.acquire.reserved = false
		return
	}
	n.oweLocked(1)
}

// excuseLocked takes the answer v of an acquire whose release is under way:
// where nothing was written there is nothing to release. Close would otherwise
// wait a TTL for the release of a key that cannot exist, if the node goes away
// now.
func (n *node) excuseLocked(d *debt, v vote) {
	if v != granted && v != unknown && !d.settled {
		n.forgetLocked(d)
	}
}

// settleLocked takes the answer v of the release c. It returns the vote that
// counts: another release of the same key may have been the one that deleted it.
func (n *node) settleLocked(c *command, v vote) vote {
	d, now := c.debt, time.Now()
	d.asking = false
	d.deleted = d.deleted || v == granted
	switch {
	case d.settled:
	case (v == granted || v == refused) && n.provesLocked(d, c.stream, v, now):
		d.deleted = d.deleted || d.unsure
		n.forgetLocked(d)
	default:
		n.scheduleLocked(d, now)
	}
	if v == refused {
		return d.outcome()
	}
	return v
}

// provesLocked reports whether the answer v to a release on s shows that the key
// is gone for good: the acquire was executed before, or can never be. Deleted is
// proof, but for an acquire of which there are several copies.
func (n *node) provesLocked(d *debt, s *stream, v vote, now time.Time) bool {
	a := d.acquire
	switch {
	case !a.repeated && (v == granted || a.state == answered), a.stream == s, a.stream.gone:
		return true
	case d.met.IsZero():
		d.met = now
	}
	// No PERSIST is sent before the acquire's answer: this key has a TTL.
	return now.Sub(d.met) > d.span+afterlife
}

// scheduleLocked leaves d to the reaper, which asks again after a growing
// pause.
func (n *node) scheduleLocked(d *debt, now time.Time) {
	d.asking = false
	switch {
	case d.settled:
		return
	case d.once:
		n.uncountLocked(d)
		return
	}
	d.pause = min(max(firstPause, 2*d.pause), max(500*time.Millisecond, d.span/8))
	d.due = now.Add(d.pause)
	n.debts[d] = struct{}{}
}

func (n *node) forgetLocked(d *debt) {
	d.settled = true
	delete(n.debts, d)
	n.uncountLocked(d)
}

func (n *node) uncountLocked(d *debt) {
	if d.counted {
		d.counted = false
		n.oweLocked(-1)
	}
}

// lapsed reports whether the key is gone by itself: it was made, no later than
// its answer came, and its TTL has passed since.
func (d *debt) lapsed(now time.Time) bool {
	a := d.acquire
	return a.state == answered && !d.lapse.IsZero() && now.After(d.lapse) && now.Sub(a.doneAt) > d.span+afterlife
}

// pruneLocked forgets what has lapsed. Close takes every key's TTL from when it
// was asked for: it has nobody who could wait for a node that is away.
func (n *node) pruneLocked(now time.Time) {
	closing := n.m.closed.Load()
	for d := range n.debts {
		if d.lapsed(now) || closing && !d.lapse.IsZero() && now.After(d.lapse) {
			n.forgetLocked(d)
		}
	}
}

// reap sends the releases again that are due.
func (n *node) reap(now time.Time) {
	n.mu.Lock()
	n.pruneLocked(now)
	var due []*command
	for d := range n.debts {
		if !d.asking && !now.Before(d.due) {
			d.asking = true
			due = append(due, &command{req: d.request, debt: d})
		}
	}
	n.mu.Unlock()
	for _, c := range due {
		n.submit(c)
	}
}

// introduceLocked begins a stream with what the past has left: the server is
// told to drop the connections that unanswered acquires were sent on, and then
// asked for every release at once.
func (n *node) introduceLocked(s *stream) {
	n.pruneLocked(time.Now())
	n.past = slices.DeleteFunc(n.past, func(old *stream) bool { return old.gone })
	for _, old := range n.past {
		n.disownLocked(old, s)
	}
	for d := range n.debts {
		d.pause = 0
		if !d.asking { // else its release waits already
			d.asking = true
			n.pushLocked(&command{req: d.request, debt: d})
		}
	}
}

// disownLocked has the server drop the connection of old. Another process has
// never had it. A server that does not say who it is, or where we may not ask,
// leaves the question open, and so does one that told no id: a server may take
// 0 for no filter at all, and drop every client.
func (n *node) disownLocked(old, s *stream) {
	switch {
	case old.server.runID == "" || s.server.runID == "":
	case old.server.runID != s.server.runID:
		old.gone = true
	case old.server.id == 0:
	default:
		kill := killRequest(old.server.id)
		n.pushLocked(&command{req: &kill, kills: old})
	}
}
