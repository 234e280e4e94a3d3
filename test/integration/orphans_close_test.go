package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// closing is a Close that runs.
type closing struct {
	started time.Time
	err     chan error
}

func startClosing(ctx context.Context, m *redlock.Manager) closing {
	c := closing{started: time.Now(), err: make(chan error, 1)}
	go func() { c.err <- m.Close(ctx) }()
	return c
}

// wait returns how long Close took, and its error; it fails after limit.
func (c closing) wait(t *testing.T, limit time.Duration) (time.Duration, error) {
	t.Helper()
	select {
	case err := <-c.err:
		return time.Since(c.started), err
	case <-time.After(limit):
		t.Fatalf("Close has not returned after %v", limit)
		return 0, nil
	}
}

// wantBusy fails if Close returns within d.
func (c closing) wantBusy(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case err := <-c.err:
		t.Fatalf("Close has returned: %v", err)
	case <-time.After(d):
	}
}

// holdAndSilence takes a lock on three servers and pauses the last one.
func holdAndSilence(t *testing.T, q *Quorum, m *redlock.Manager) *redlock.Lock {
	t.Helper()
	lock, err := m.TryLock(t.Context(), q.Resource(t))
	if err != nil {
		t.Fatal(err)
	}
	q.WantEverywhere(t, lock.Resource(), lock.Token(), tardy)
	q.Servers[2].Pause(t)
	return lock
}

func TestCloseWaitsForAKeyOnASilentNode(t *testing.T) {
	t.Parallel()
	t.Run("until it has been released", func(t *testing.T) {
		rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
			m := q.New(t, redlock.Config{NodeTimeout: tardy, TTL: time.Minute})
			lock := holdAndSilence(t, q, m)
			c := startClosing(t.Context(), m)
			c.wantBusy(t, 2*time.Second)
			q.Servers[2].Continue(t)
			if _, err := c.wait(t, 10*time.Second); err != nil {
				t.Error(err)
			}
			wantNoKeys(t, "closed", q.Servers, lock.Resource())
		})
	})
	t.Run("until it has expired", func(t *testing.T) {
		rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
			const ttl = 4 * time.Second
			m := q.New(t, redlock.Config{NodeTimeout: tardy, TTL: ttl})
			begun := time.Now()
			lock := holdAndSilence(t, q, m)
			_, err := startClosing(t.Context(), m).wait(t, ttl+10*time.Second)
			if err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took < ttl {
				t.Errorf("Close has returned %v after the lock was asked for, and its TTL is %v", took, ttl)
			}
			q.Servers[2].Continue(t)
			wantNoKeys(t, "closed", q.Servers, lock.Resource())
		})
	})
	t.Run("as long as its context allows", func(t *testing.T) {
		rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
			m := q.New(t, redlock.Config{NodeTimeout: tardy, TTL: time.Minute})
			holdAndSilence(t, q, m)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := startClosing(ctx, m).wait(t, 5*time.Second)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			for i, s := range q.Servers {
				if named := strings.Contains(err.Error(), s.Addr); named != (i == 2) {
					t.Errorf("%v: it names node %d: %t", err, i, named)
				}
			}
			q.Servers[2].Continue(t)
		})
	})
}

func TestNothingOfAManagerStaysAfterClose(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		count := countGoroutines(t)
		name := fmt.Sprintf("closed-%d", resources.Add(1))
		for i, s := range q.Servers {
			node, err := redlock.ParseNode(s.URI() + "?client_name=" + name)
			if err != nil {
				t.Fatal(err)
			}
			q.Nodes[i] = node
		}
		m := q.New(t, redlock.Config{})
		lock, err := m.TryLock(t.Context(), q.Resource(t))
		if err != nil {
			t.Fatal(err)
		}
		if n := count(); n == 0 {
			t.Error("the manager has no goroutine")
		}
		for _, s := range q.Servers {
			if n := connections(t, s, name); n == 0 {
				t.Errorf("%s has no connection of the manager", s.Addr)
			}
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wantNoKeys(t, "closed", q.Servers, lock.Resource())
		eventually(t, 5*time.Second, func() error {
			for _, s := range q.Servers {
				if n := connections(t, s, name); n > 0 {
					return fmt.Errorf("%s has %d connections of the manager", s.Addr, n)
				}
			}
			if n := count(); n > 0 {
				return fmt.Errorf("%d goroutines of the manager are left", n)
			}
			return nil
		})
	})
}

// connections is how many clients of a name the server has.
func connections(t *testing.T, s *servers.Server, name string) (n int) {
	t.Helper()
	list, err := s.Client.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		if strings.Contains(line, " name="+name+" ") {
			n++
		}
	}
	return n
}
