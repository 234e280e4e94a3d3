package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

const (
	// resource is what the story is about.
	resource = "invoice:42"

	// prefix keeps its keys apart from others on real nodes.
	prefix = "redlock-quickstart:"
)

// story is told of two services, Alice and Bob, one of which at a time may send
// an invoice.
type story struct {
	out    io.Writer
	begun  time.Time
	ttl    time.Duration
	nodes  []redlock.Node
	memory *redlocktest.Quorum // nil on real nodes: none of those is stopped

	alice, bob *redlock.Manager
	lock       *redlock.Lock // of whoever holds the resource
}

func (s *story) tell(ctx context.Context) (err error) {
	config := redlock.Config{
		Nodes:       s.nodes,
		TTL:         s.ttl,
		NodeTimeout: 250 * time.Millisecond, // the most that is usual: this machine may be busy
		KeyPrefix:   prefix,
	}
	if s.alice, err = redlock.New(config); err != nil {
		return err
	}
	if s.bob, err = redlock.New(config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.alice.Ping(ctx); err != nil {
		return fmt.Errorf("the nodes are not ready: %w", err)
	}
	s.introduce()
	for i, step := range s.steps() {
		fmt.Fprintf(s.out, "\n%d. %s\n", i+1, step.title)
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("step %d (%s) did not go as told: %w", i+1, step.title, err)
		}
	}
	fmt.Fprintf(s.out, "\nThat is all, after %s. Each step was checked while it was told.\n",
		s.since(time.Now()))
	return nil
}

// step is a part of the story. It returns an error where something else
// happened than is told.
type step struct {
	title string
	run   func(context.Context) error
}

func (s *story) steps() []step {
	if s.memory == nil {
		return []step{
			{"Alice takes the lock", s.take},
			{"Bob is refused", s.refuse},
			{"Alice needs more time", s.extend},
			{"Bob waits, and is next", s.handOver},
			{"Bob's job hangs", s.hang},
			{"Alice has a long job", s.work},
		}
	}
	return []step{
		{"Alice takes the lock", s.take},
		{"Bob is refused", s.refuse},
		{"Alice needs more time", s.extend},
		{"A node dies", s.loseOne},
		{"Bob waits, and is next", s.handOver},
		{"Bob's job hangs", s.hang},
		{"Alice has a long job, and most nodes die", s.loseMost},
		{"The nodes come back", s.comeBack},
	}
}

func (s *story) introduce() {
	where := "here in the memory of this program"
	if s.memory == nil {
		where = "the ones that you have named"
	}
	fmt.Fprintf(s.out, `Alice and Bob are two services. Invoice 42 must not be sent twice, so whoever
sends it takes the lock %q first. It is kept by %d Redis nodes,
%s:

`, resource, len(s.nodes), where)
	for _, node := range s.nodes {
		fmt.Fprintf(s.out, "    %v\n", node)
	}
	fmt.Fprintf(s.out, `
They know nothing of each other. Whoever has the lock on a majority of them, %d of
%d, holds it. Each service has a redlock.Manager, called m below, that asks them.
The numbers are seconds since the start.
`, majority(s.nodes), len(s.nodes))
	if s.memory == nil {
		fmt.Fprintln(s.out, "\nThe nodes are yours, so none is stopped: what happens when nodes die is left out.")
	}
}

func majority(nodes []redlock.Node) int { return len(nodes)/2 + 1 }

// say tells what has just happened.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "   %s  %s\n", s.since(time.Now()), fmt.Sprintf(format, args...))
}

// add goes on with the line before.
func (s *story) add(format string, args ...any) {
	fmt.Fprintf(s.out, "           %s\n", fmt.Sprintf(format, args...))
}

// since is a moment as the story writes it.
func (s *story) since(t time.Time) string { return seconds(t.Sub(s.begun)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.3fs", d.Seconds()) }

// sleep lets some of the story's time pass.
func (s *story) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close gives up what is held. Nodes that are away must not keep the reader.
func (s *story) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	return errors.Join(s.alice.Close(ctx), s.bob.Close(ctx))
}
