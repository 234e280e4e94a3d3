package redlock

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// lastLinger is how long Close lets connections linger, once all keys are
// settled or its ctx has ended.
const lastLinger = 100 * time.Millisecond

// grace is what the library's own goroutines are given to end, beyond the ctx of
// Close. Code of the user's that they are inside of (a client, Credentials, a
// Dialer, a pause, a log handler) may take for ever.
const grace = 5 * lastLinger

// Close releases every lock that is held, waits for keys whose release is still
// unconfirmed until they have expired, ends the connections that it made (not
// the clients given by [Client]), and waits for every goroutine of the library.
// It waits no longer than ctx, and half a second for what is ending, and returns
// ctx's error then, with the nodes on which keys are unconfirmed.
//
// Calls in progress and all later ones return [ErrClosed]. A second Close waits
// for the first, while its own ctx lasts, and returns nil.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	if ending := m.ending; ending != nil {
		m.mu.Unlock()
		select {
		case <-ending:
		case <-ctx.Done():
		}
		return nil
	}
	ending := make(chan struct{})
	m.ending = ending
	held := m.held
	m.held = nil
	m.mu.Unlock()
	defer close(ending)

	m.closed.Store(true)
	m.shut()
	for _, l := range held {
		if l.end(ErrReleased) {
			l.tellClosed()
		}
		l.abandon() // also where its time has ended it since: it could not be released then
	}
	calm := m.calm(ctx)
	unsettled := m.settle(ctx)
	m.die()
	joined := m.join(ctx)
	switch {
	case len(unsettled) > 0:
		return fmt.Errorf("redlock: close: %w; keys are unconfirmed on %s", ctx.Err(), strings.Join(unsettled, ", "))
	case !calm, !joined:
		return fmt.Errorf("redlock: close: %w; a client or a function that was given has not returned", ctx.Err())
	}
	return nil
}

// calm waits until no call is in progress. Each sees that the manager is closing,
// and returns at once, but for one inside a function of its caller's: that is
// waited for while ctx lasts.
func (m *Manager) calm(ctx context.Context) bool {
	late := time.NewTimer(grace)
	late.Stop()
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { late.Reset(grace) })()
	for m.calls.Load() > 0 {
		select {
		case <-m.quiet:
		case <-late.C:
			return false
		}
	}
	return true
}

// settle waits until no node may have a key of ours, or until ctx ends; it
// returns the names of the nodes that may have one then.
func (m *Manager) settle(ctx context.Context) (unsettled []string) {
	for _, n := range m.nodes {
		if !n.settle(ctx) {
			unsettled = append(unsettled, n.name)
		}
	}
	return unsettled
}

// settle waits until the node owes no release, or until ctx ends.
func (n *node) settle(ctx context.Context) bool {
	ticker := time.NewTicker(reapTick)
	defer ticker.Stop()
	for {
		n.mu.Lock()
		n.pruneLocked(time.Now())
		owed := n.owed
		n.mu.Unlock()
		if owed == 0 {
			return true
		}
		select {
		case <-n.settled:
		case <-ticker.C: // what has lapsed is noticed by nobody else
		case <-ctx.Done():
			return false
		}
	}
}

// join waits for every goroutine. All end by themselves once life has, but for
// one inside code of the user's: that is waited for while ctx lasts.
func (m *Manager) join(ctx context.Context) bool {
	done := make(chan struct{})
	go func() { // ends with the last task
		_ = m.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select { // our own goroutines are given the time that they need
	case <-done:
		return true
	case <-time.After(grace):
		return false
	}
}
