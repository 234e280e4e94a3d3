package redlock

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// quietTime is how long a stream may be silent before it is asked for a sign
	// of life; half of it again is jitter.
	quietTime = 5 * time.Second

	// shortLife is a connection too short to be remade at once more than
	// shortLives times in a row: a server that hangs up on every client is down.
	shortLife  = time.Second
	shortLives = 3

	// maxPast is how many ended connections a node keeps, to ask the server to
	// drop them. The acquires of older ones are settled by time.
	maxPast = 16
)

// run keeps the node connected until life ends.
func (n *node) run(life context.Context) {
	if n.cfg.client != nil {
		n.runClient(life)
		return
	}
	short := 0
	dialing := n.connectTimeout()
	for life.Err() == nil {
		begun := time.Now()
		s, err := n.connect(life, dialing)
		if err == nil {
			n.serve(life, s)
			if short++; time.Since(begun) > shortLife {
				short = 0
			}
			err = s.err
		} else {
			short = shortLives
		}
		dialing = n.connectTimeout()
		if short < shortLives {
			continue // remade at once: only the commands that crossed its end lose a vote
		}
		n.fail(err)
		dialing = probeDelay() // a probe dials for no longer than until the next one is due
		pause(time.Until(begun.Add(dialing)), life.Done(), nil)
	}
	n.fail(ErrClosed)
}

// probeDelay lies between two probes of a node that is down: short enough that
// it votes again within a second of coming back, spread so that clients do not
// probe in step.
func probeDelay() time.Duration {
	return 500*time.Millisecond + jitter(300*time.Millisecond)
}

// pause sleeps for d, or until one or the other channel is closed. It makes no
// timer that is due already: with several of them in one synctest bubble, the
// race detector of Go 1.26 crashes.
func pause(d time.Duration, one, other <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-one:
	case <-other:
	}
}

// wakeUp puts something into a channel of capacity 1 that somebody waits at. It
// never blocks: what is there already wakes them too.
func wakeUp(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// fail marks the node as down and refuses what waits for it. Releases are left
// to the reaper.
func (n *node) fail(err error) {
	n.mu.Lock()
	changed := n.state != down || n.cause.Error() != err.Error()
	n.state, n.cause, n.stream = down, err, nil
	waiting := n.queue
	n.queue = nil
	refused := waiting[:0]
	now := time.Now()
	for _, c := range waiting {
		if c.state != queued {
			continue
		}
		n.dropLocked(c)
		if c.debt != nil {
			n.scheduleLocked(c.debt, now)
		}
		refused = append(refused, c)
	}
	n.pruneLocked(now)
	n.mu.Unlock()
	v := rejected
	if errors.As(err, new(*ConfigError)) {
		v = misconfigured
	}
	for _, c := range refused {
		n.tell(c, v, err)
	}
	if errors.Is(err, ErrClosed) {
		return
	}
	if changed {
		n.m.log.Warn("redlock: node is down", "node", n.name, "error", err)
	}
	n.report(false, err)
}

// serve uses s until it ends.
func (n *node) serve(life context.Context, s *stream) {
	n.adopt(s)
	var work sync.WaitGroup
	work.Go(s.write)
	n.m.tasks.Go(func() error {
		defer context.AfterFunc(life, s.hurry)()
		s.read()
		s.hangUp()
		return nil
	})
	if n.sentinel != nil {
		work.Go(func() { s.end(n.sentinel.watch(s.ended, s.address)) })
	}
	n.watch(life, s)
	n.orphan(s)
	n.m.servers.leave(s.server.runID, n)
	work.Wait()
}

// adopt makes s the node's stream: what was waiting goes out on it.
func (n *node) adopt(s *stream) {
	n.mu.Lock()
	known := n.state == connecting && n.cause == nil
	n.state, n.cause = up, nil
	n.stream = s
	s.heard = time.Now()
	n.introduceLocked(s)
	n.mu.Unlock()
	wakeUp(s.wake)
	wakeUp(n.wake)
	if !known {
		n.m.log.Info("redlock: node is up", "node", n.name)
	}
	n.report(true, nil)
}

// watch returns when s has ended. It ends s when it is silent for too long,
// asks for a sign of life, and lets the reaper ask again for what is owed.
func (n *node) watch(life context.Context, s *stream) {
	ticker := time.NewTicker(reapTick)
	defer ticker.Stop()
	quiet := quietTime + jitter(quietTime/2)
	for {
		select {
		case <-life.Done():
			s.end(ErrClosed)
			return
		case <-s.ended:
			return
		case now := <-ticker.C:
			n.mu.Lock()
			overdue := len(s.flight) > 0 && now.Sub(s.flight[0].sentAt) > n.silence
			silent := len(s.flight) == 0 && now.Sub(s.heard) > quiet
			n.mu.Unlock()
			if overdue {
				s.end(connErrorf("no answer for %v", n.silence))
				return
			}
			if silent {
				n.submit(&command{req: &n.m.ping})
			}
			n.reap(now)
		}
	}
}

// orphan takes s from the node. What was in flight on it has an unknown fate;
// the releases of its acquires are appended to it before it closes, and at the
// end of the manager's life those that wait.
func (n *node) orphan(s *stream) {
	n.mu.Lock()
	n.state, n.stream = connecting, nil
	flight := s.flight
	s.flight = nil
	var releases []byte
	now := time.Now()
	acquires := false
	for _, c := range flight {
		n.loseLocked(c, now)
		if acquires = acquires || c.req.kind == acquire; c.req.reserves() {
			undo := releaseRequest(c.req.key, c.req.token, "")
			releases = s.appendCommand(releases, &command{req: &undo})
		}
	}
	if n.m.life.Err() != nil { // there is no next connection for what waits
		for _, c := range n.queue {
			if c.state == queued && c.req.kind == release {
				releases = s.appendCommand(releases, c)
			}
		}
	}
	if acquires {
		n.past = append(n.past[max(0, len(n.past)+1-maxPast):], s)
	}
	n.mu.Unlock()
	s.close(releases)
	if n.m.life.Err() != nil {
		s.hurry()
	}
	for _, c := range flight {
		n.tell(c, unknown, s.err)
	}
}
