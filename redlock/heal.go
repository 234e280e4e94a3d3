package redlock

import "time"

// healFrom gives the key back to the nodes that lack it, once a majority has
// confirmed the token: to those that voted no, and to those that will. The
// question was asked at start. What is given back does not count before it is
// confirmed in its turn. The nodes keep it for ttl from start, as the others do,
// or for as long as the lock is trusted, where that is longer.
//
// For what may be left behind, a heal is an acquire: Unlock releases on every
// node that one was sent to, and behind it.
func (l *Lock) healFrom(b *ballot, start time.Time, ttl time.Duration) {
	b.onEach(func(node int, v vote) {
		if v == refused {
			l.heal(node, start, ttl)
		}
	})
}

func (l *Lock) heal(node int, start time.Time, ttl time.Duration) {
	n := l.m.nodes[node]
	now, m := time.Now(), l.m
	left := start.Add(ttl).Sub(now).Truncate(time.Millisecond)
	if l.noExpiry {
		left = l.ttl
	} else if rest := remaining(now, l.Until()); rest > 0 { // an earlier Extend may have given more
		left = max(left, ttlFor(rest, m.cfg.DriftFactor, m.cfg.Margin))
	}
	if left <= 0 || l.noExpiry && n.cfg.client != nil { // which cannot keep one; see submitOn
		return
	}
	// The script, for which a key that holds the token already is granted: an
	// acquire whose answer was lost may have made it just now.
	req := replayableRequest(l.key, l.Token(), left)
	req.given = l.given
	c := &command{req: &req, to: healing{l}, index: node}
	if l.startHeal(n, c, start) {
		n.submit(c)
	}
}

// startHeal makes c the acquire of its node, unless the lock is over or the one
// before may still have a key there: one release could not account for both. A
// release that comes between this and the sending of c withdraws it.
func (l *Lock) startHeal(n *node, c *command, asked time.Time) bool {
	if l.Err() != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life.Err() != nil || !n.spent(l.acquireLocked(c.index), asked) {
		return false
	}
	if l.heals == nil {
		l.heals = make([]*command, len(l.m.nodes))
	}
	l.heals[c.index] = c
	return true
}

// spent reports whether nothing is left of the acquire c on a node that has
// answered a question asked then with no, and nothing more can come of it: what
// was sent before the question was executed before it. It gives back the room
// that was kept for its release.
func (n *node) spent(c *command, asked time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch c.state {
	case unsent:
		return true
	case answered:
		return !c.repeated && (c.vote != granted || !c.sentAt.After(asked))
	case lost:
		if c.stream.gone && !c.repeated {
			n.unreserveLocked(c)
			return true
		}
	}
	return false
}

// outcome is whether the acquire c was granted, if that is known for good.
func (n *node) outcome(c *command) (yes, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.state == answered && c.vote == granted, c.state == unsent || c.state == answered && !c.repeated
}

// acquireLocked is the last acquire of the lock on a node, a heal included.
func (l *Lock) acquireLocked(node int) *command {
	switch {
	case l.heals != nil && l.heals[node] != nil:
		return l.heals[node]
	case l.ballot != nil:
		return &l.ballot.commands[node]
	}
	c := &command{state: answered, vote: refused, doneAt: l.compacted}
	if l.granted[node] {
		c.vote = granted
	}
	return c
}

// compact forgets the commands of the acquire once every node has answered: a
// lock that is held for long takes a third of the memory then.
func (l *Lock) compact() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ballot == nil || l.given || l.noExpiry {
		return
	}
	votes := make([]bool, len(l.m.nodes))
	for i, n := range l.m.nodes {
		var known bool
		if votes[i], known = n.outcome(&l.ballot.commands[i]); !known {
			return
		}
	}
	l.granted, l.compacted, l.ballot = votes, time.Now(), nil
}

// healing takes the answers to what heals a lock. Of one without expiry, a key
// that was given back with a TTL loses it, on the connection that granted it.
// Nothing is sent, or sent again, once the lock is over.
type healing struct{ *Lock }

func (h healing) receive(c *command, v vote, _ error) {
	if h.noExpiry && c.req.kind == acquire && v == granted {
		req := persistRequest(h.key, h.Token())
		h.m.nodes[c.index].submitOn(c, &command{req: &req, to: h, index: c.index})
	}
}

func (h healing) gone() bool { return h.life.Err() != nil }
