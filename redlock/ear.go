package redlock

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// earIdle is how long a subscription connection is kept when nobody waits any
// more.
const earIdle = 30 * time.Second

// channel is where a node publishes the releases of key; see release.lua.
func (n *node) channel(key string) string { return "redlock:released:" + n.db + ":" + key }

// ear listens on one node for releases, for all waiters of its manager: on one
// connection, which is opened for the first of them and closed some time after
// the last. What it misses while the node is away costs time, and nothing else:
// there is a timer behind every wait.
//
// Two goroutines serve it while it is open, for which Close waits.
type ear struct {
	n    *node
	wake chan struct{} // capacity 1: changed is not empty

	mu       sync.Mutex
	channels map[string]*subscription // guarded by mu, as is all below
	changed  []string                 // what has to be subscribed or unsubscribed, perhaps
	flight   []string                 // of the commands that were not answered, in order
	running  bool
}

// subscription is one channel of an ear.
type subscription struct {
	line   *line // who waits; nil: nobody any more
	on     bool  // SUBSCRIBE was sent last, and not UNSUBSCRIBE
	flying int   // commands for it that were not answered
}

func newEar(n *node) *ear {
	return &ear{n: n, wake: make(chan struct{}, 1), channels: make(map[string]*subscription)}
}

// tune begins to listen for l. It does no I/O: that is the ear's own.
func (e *ear) tune(channel string, l *line) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.channels[channel]
	if s == nil {
		s = new(subscription)
		e.channels[channel] = s
	}
	s.line = l
	e.changeLocked(channel)
	if !e.running {
		e.running = true
		e.n.m.tasks.Go(func() error { e.run(e.n.m.life); return nil })
	}
}

func (e *ear) untune(channel string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.channels[channel].line = nil
	e.changeLocked(channel)
}

func (e *ear) changeLocked(channel string) {
	e.changed = append(e.changed, channel)
	wakeUp(e.wake)
}

// run keeps the ear open while somebody waits, and some time longer.
func (e *ear) run(life context.Context) {
	for !e.rests(life) {
		e.open(life)
		pause(probeDelay(), life.Done(), nil)
	}
}

// rests reports whether the ear has nothing to listen for, and ends its run
// then.
func (e *ear) rests(life context.Context) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flight = nil
	e.changed = nil
	for name, s := range e.channels {
		s.on, s.flying = false, 0
		if s.line == nil {
			delete(e.channels, name)
			continue
		}
		e.changeLocked(name)
	}
	e.running = len(e.channels) > 0 && life.Err() == nil
	return !e.running
}

// open listens on one connection until that fails, its node goes down, or
// nobody has waited for some time. Why does not matter: the node's stream tells
// what is wrong with a node.
func (e *ear) open(life context.Context) {
	ctx, cancel := context.WithCancel(life)
	defer cancel()
	sub, ended, done, err := e.n.subscriber(ctx)
	if err != nil {
		return
	}
	defer done()
	var reader sync.WaitGroup
	defer reader.Wait()
	defer func() { _ = sub.Close() }()
	idle := time.NewTimer(earIdle)
	defer idle.Stop()
	for listening := false; ; {
		select {
		case <-e.wake:
			sent, err := e.write(ctx, sub)
			if err != nil {
				return
			}
			idle.Reset(earIdle)
			if sent && !listening { // not before: it would connect, with what we need held
				listening = true
				reader.Go(func() { defer cancel(); e.read(ctx, sub) })
			}
		case <-idle.C:
			if e.idle() {
				return
			}
			idle.Reset(earIdle)
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// subscriber is the user's client, or one of our own that done closes.
func (n *node) subscriber(ctx context.Context) (sub *redis.PubSub, ended <-chan struct{}, done func(), err error) {
	if n.cfg.client != nil {
		return n.cfg.client.Subscribe(ctx), nil, func() {}, nil
	}
	client, ended, err := n.aside(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	return client.Subscribe(ctx), ended, func() { _ = client.Close() }, nil
}

func (e *ear) idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.channels) == 0
}

// write subscribes and unsubscribes what has changed: one command for each
// channel, so that an error can be told whose it is. It reports whether there was
// anything.
func (e *ear) write(ctx context.Context, sub *redis.PubSub) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout) // it connects, the first time
	defer cancel()
	for {
		name, on, ok := e.next()
		if !ok {
			return sent, nil
		}
		send := sub.Unsubscribe
		if on {
			send = sub.Subscribe
		}
		if err := send(ctx, name); err != nil {
			return sent, err
		}
		sent = true
	}
}

// next returns the next command that is to be sent.
func (e *ear) next() (channel string, on, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.changed) > 0 {
		name := e.changed[0]
		e.changed = e.changed[1:]
		s := e.channels[name]
		switch {
		case s == nil:
		case s.on != (s.line != nil):
			s.on = !s.on
			s.flying++
			e.flight = append(e.flight, name)
			return name, s.on, true
		case s.line == nil && s.flying == 0:
			delete(e.channels, name)
		}
	}
	return "", false, false
}

// read takes what comes until the connection fails. One that is silent is asked
// for a sign of life.
func (e *ear) read(ctx context.Context, sub *redis.PubSub) {
	var timeout net.Error
	asked := false
	for {
		wait := quietTime
		if asked {
			wait = e.n.silence
		}
		got, err := receive(ctx, sub, wait)
		var l *line
		switch got := got.(type) {
		case *redis.Message:
			l = e.heard(got.Channel)
		case *redis.Subscription:
			l = e.answered(true)
		}
		if l != nil {
			l.hear(e.n.index)
		}
		switch {
		case err == nil:
			asked = false
		case errors.As(err, new(redis.Error)):
			e.answered(false) // no right to the channel: the timers have to do
		case !asked && errors.As(err, &timeout) && timeout.Timeout() && sub.Ping(ctx) == nil:
			asked = true
		default:
			return
		}
	}
}

// receive waits for what comes next. go-redis panics where an array does not
// begin with a string: that is a broken reply, and ends the connection.
func receive(ctx context.Context, sub *redis.PubSub, wait time.Duration) (got any, err error) {
	defer func() {
		if recover() != nil {
			err = errOutOfStep
		}
	}()
	return sub.ReceiveTimeout(ctx, wait)
}

// heard returns who waits for a message on channel; nil: nobody any more.
func (e *ear) heard(channel string) *line {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.channels[channel]; s != nil {
		return s.line
	}
	return nil
}

// answered takes the answer to the oldest command, and returns who is listened
// for from now on: what was published before has been missed, and counts as
// heard.
func (e *ear) answered(done bool) *line {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.flight) == 0 {
		return nil
	}
	name := e.flight[0]
	e.flight = e.flight[1:]
	s := e.channels[name]
	if s == nil {
		return nil
	}
	s.flying--
	switch {
	case s.flying > 0:
	case s.line == nil && !s.on:
		delete(e.channels, name)
	case done && s.on:
		return s.line
	}
	return nil
}
