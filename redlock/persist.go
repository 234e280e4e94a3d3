package redlock

import (
	"context"
	"slices"
)

// persist takes the expiry off a lock that is to have none, and returns the
// votes on that. It was acquired with a TTL, so that a holder that dies
// half-way leaves nothing behind for good.
//
// A PERSIST is sent only on the connection on which that node's grant was
// answered: on another it could be executed after a release that the node has
// already answered. Nodes that grant late get theirs when they do.
func (l *Lock) persist(ctx context.Context) (tally, error) {
	m := l.m
	l.persisting = true
	req := persistRequest(l.key, l.Token())
	b := newBallot(len(m.nodes), judged)
	for i := range b.commands {
		b.commands[i].req = &req // here: two goroutines may follow one node's votes
	}
	follow := func(node int, v vote) {
		c := &b.commands[node]
		if v == granted && !l.ballot.gone() {
			m.nodes[node].submitOn(&l.ballot.commands[node], c)
		} else {
			b.receive(c, v, l.ballot.errorOf(node))
		}
	}
	l.ballot.onEach(follow)
	t := b.wait(ctx, m.open, m.nodeTimeout(l.ttl))
	if t.verdict() == won {
		return t, nil
	}
	b.over.Store(true)
	return t, m.verdictError(ctx, "lock", l.resource, ErrNoQuorum, b, t)
}

// submitOn sends c on the connection that acquire was answered on, and on no
// other.
func (n *node) submitOn(acquire, c *command) {
	if n.cfg.client != nil {
		n.tell(c, misconfigured, configErrorf(n.path(),
			"expected an address for a lock without expiry, but %s is a client that was given, whose connections are its own",
			n.name))
		return
	}
	n.mu.Lock()
	if acquire.state != answered || n.stream != acquire.stream {
		n.mu.Unlock()
		n.tell(c, rejected, connErrorf("the connection that granted the lock has ended"))
		return
	}
	c.bound = acquire.stream
	n.mu.Unlock()
	n.submit(c)
}

// onEach calls f for each vote that is in, and for each that is to come.
func (b *ballot) onEach(f func(node int, v vote)) {
	b.mu.Lock()
	b.each = f
	votes := slices.Clone(b.votes)
	b.mu.Unlock()
	for i, v := range votes {
		if v != pending {
			f(i, v)
		}
	}
}

func (b *ballot) errorOf(node int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.errs == nil {
		return nil
	}
	return b.errs[node]
}
