package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func (s *story) take(ctx context.Context) (err error) {
	s.say("Alice:  lock, err := m.TryLock(ctx, %q)", resource)
	if s.lock, err = s.alice.TryLock(ctx, resource); err != nil {
		return err
	}
	left := s.lock.Remaining()
	s.say("She has it. The nodes keep it for %v and then forget it, in case she crashes. She", s.ttl)
	s.add("trusts it for a little less, %s more from now, since their clocks may run faster", seconds(left))
	s.add("than hers. lock.Valid() tells her at any time whether she may, and asks nobody.")
	return s.valid()
}

func (s *story) refuse(ctx context.Context) error {
	s.say("Bob:    lock, err := m.TryLock(ctx, %q)", resource)
	_, err := s.bob.TryLock(ctx, resource)
	if !errors.Is(err, redlock.ErrTaken) {
		return wanted("redlock.ErrTaken", err)
	}
	s.say("%v", err)
	s.add("That is redlock.ErrTaken: somebody has it. He had the answer as soon as no vote that")
	s.add("was still missing could change it.")
	return nil
}

func (s *story) extend(ctx context.Context) error {
	if err := s.sleep(ctx, s.ttl/4); err != nil {
		return err
	}
	old := s.lock.Until()
	s.say("Alice:  err := lock.Extend(ctx, 0)")
	if err := s.lock.Extend(ctx, 0); err != nil {
		return err
	}
	if !s.lock.Until().After(old) {
		return errors.New("the lock does not last longer than before")
	}
	s.say("She has the whole %v once more, and may trust the lock until %s. Before: %s.",
		s.ttl, s.since(s.lock.Until()), s.since(old))
	return s.valid()
}

func (s *story) loseOne(ctx context.Context) error {
	last := len(s.nodes) - 1
	s.memory.StopNode(last)
	s.say("%v is gone, with all that it knew.", s.nodes[last])
	s.say("Alice:  held, err := lock.IsHeld(ctx)")
	held, err := s.lock.IsHeld(ctx)
	if err != nil || !held {
		return wanted("the lock to be held", err)
	}
	s.say("It is: the others are still a majority. Nodes that are gone cost no lock as long as")
	s.add("they are a minority, and no time either: nobody waits for them.")
	if _, err := s.bob.TryLock(ctx, resource); !errors.Is(err, redlock.ErrTaken) {
		return wanted("Bob to be refused", err)
	}
	s.say("Bob tries again, and is refused again.")
	return nil
}

func (s *story) handOver(ctx context.Context) error {
	s.say("Bob:    lock, err := m.Lock(ctx, %q)    waits for its holder", resource)
	next := s.wait(ctx, s.bob)
	if err := s.sleep(ctx, s.ttl/5); err != nil {
		return err
	}
	s.say("Alice:  err := lock.Unlock(ctx)")
	released := time.Now()
	if err := s.lock.Unlock(ctx); err != nil {
		return err
	}
	turn := <-next
	switch {
	case turn.err != nil:
		return turn.err
	case turn.at.Before(released):
		return errors.New("the lock was Bob's before Alice gave it back")
	}
	s.lock = turn.lock
	s.say("Bob has it, %s after she gave it back. The nodes have told him of her release.",
		seconds(turn.at.Sub(released)))
	return s.valid()
}

func (s *story) hang(ctx context.Context) error {
	s.say("It is stuck, and neither extends the lock nor unlocks it.")
	if err := s.sleep(ctx, s.lock.Remaining()-s.ttl/8); err != nil {
		return err
	}
	s.say("Alice:  lock, err := m.Lock(ctx, %q)", resource)
	next := s.wait(ctx, s.alice)
	select {
	case <-s.lock.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.lock.Err(); !errors.Is(err, redlock.ErrExpired) {
		return wanted("redlock.ErrExpired", err)
	}
	s.say("Bob's lock.Done() is closed, and lock.Err() is %q. A timer in his own", s.lock.Err())
	s.add("program did that: no node had to reach him.")
	turn := <-next
	switch {
	case turn.err != nil:
		return turn.err
	case turn.at.Before(s.lock.Until()):
		return errors.New("the lock was Alice's while Bob still trusted his")
	}
	s.say("Alice has it, %s after his was over: his program gave it back. At no moment could both trust it.",
		seconds(turn.at.Sub(s.lock.Until())))
	s.lock = turn.lock
	return s.lock.Unlock(ctx)
}

// work is a job under Do that takes longer than the TTL.
func (s *story) work(ctx context.Context) error {
	s.sayDo()
	err := s.alice.Do(ctx, resource, s.outlast)
	if err != nil {
		return err
	}
	s.say("The job is done, and Do has unlocked.")
	return nil
}

// loseMost is work whose lock cannot be renewed any more.
func (s *story) loseMost(ctx context.Context) error {
	s.sayDo()
	err := s.alice.Do(ctx, resource, func(ctx context.Context, lock *redlock.Lock) error {
		if err := s.outlast(ctx, lock); err != nil {
			return err
		}
		if err := s.stopMost(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * s.ttl):
			return errors.New("the job was not told to stop")
		}
		if err := context.Cause(ctx); !errors.Is(err, redlock.ErrExpired) {
			return wanted("redlock.ErrExpired", err)
		}
		s.say("No renewal worked, so the ctx of Alice's job has ended. Its cause is %q.", context.Cause(ctx))
		s.add("She stops before anybody else can have the lock.")
		return nil
	})
	if !errors.Is(err, redlock.ErrExpired) {
		return wanted("redlock.ErrExpired", err)
	}
	s.say("Do returns that too, so that it is not overlooked.")
	return nil
}

func (s *story) sayDo() {
	s.say("Alice:  err := m.Do(ctx, %q, func(ctx context.Context, lock *redlock.Lock) error {", resource)
	s.add("            ...    the lock is renewed while this runs, and unlocked after it")
	s.add("        })")
}

// outlast works for longer than the TTL.
func (s *story) outlast(ctx context.Context, lock *redlock.Lock) error {
	s.lock = lock
	if err := s.sleep(ctx, s.ttl+s.ttl/10); err != nil {
		return context.Cause(ctx)
	}
	if err := s.valid(); err != nil {
		return err
	}
	s.say("The job has run for longer than %v. The lock was renewed in time, now until %s.",
		s.ttl, s.since(lock.Until()))
	return nil
}

// stopMost leaves less than a majority, one node having died before.
func (s *story) stopMost(ctx context.Context) error {
	for i := 1; i < majority(s.nodes); i++ {
		s.memory.StopNode(i)
		s.say("%v is gone too.", s.nodes[i])
	}
	_, err := s.bob.TryLock(ctx, resource)
	if !errors.Is(err, redlock.ErrNoQuorum) {
		return wanted("redlock.ErrNoQuorum", err)
	}
	s.say("Bob tries, and is told why he cannot have it:")
	s.add("%v", err)
	s.add("That is redlock.ErrNoQuorum. Not \"somebody has it\": too few nodes could say.")
	return nil
}

func (s *story) comeBack(ctx context.Context) error {
	for i := range s.nodes {
		s.memory.StartNode(i)
	}
	s.say("All of them run again, empty.")
	s.say("Bob:    lock, err := m.Lock(ctx, %q)", resource)
	lock, err := s.bob.Lock(ctx, resource)
	if err != nil {
		return err
	}
	s.lock = lock
	s.say("He has it. His service found the nodes again by itself.")
	if err := s.valid(); err != nil {
		return err
	}
	return lock.Unlock(ctx)
}

// turn is the end of a wait.
type turn struct {
	lock *redlock.Lock
	at   time.Time
	err  error
}

// wait has m wait for the lock. It ends with the story at the latest: then m is
// closed.
func (s *story) wait(ctx context.Context, m *redlock.Manager) <-chan turn {
	next := make(chan turn, 1)
	go func() {
		lock, err := m.Lock(ctx, resource)
		next <- turn{lock, time.Now(), err}
	}()
	return next
}

// valid checks that whoever holds the lock may trust it.
func (s *story) valid() error {
	if !s.lock.Valid() {
		return fmt.Errorf("the lock is over already: %w", s.lock.Err())
	}
	return nil
}

// wanted is the error of a step that got something else.
func wanted(what string, got error) error {
	if got == nil {
		return fmt.Errorf("wanted %s, got no error", what)
	}
	return fmt.Errorf("wanted %s, got: %w", what, got)
}
