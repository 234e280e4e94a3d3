package redlock

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestALockThatIsLostJustBeforeCloseLeavesNoKey(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithNoExpiry())
		r.nodes[0].FlushAll()
		r.nodes[1].FlushAll()
		r.lines.mu.Lock() // its release comes no further than here
		if _, err := lock.IsHeld(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("got %v", err)
		}
		closed := make(chan error, 1)
		go func() { closed <- r.Close(t.Context()) }()
		for range 10_000 { // Close has every chance to go on without it, to its end
			runtime.Gosched()
		}
		r.lines.mu.Unlock()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		r.mustHave("a", 0)
	})
}

// onWarning is a handler of log records that calls f for each warning.
type onWarning struct {
	slog.Handler
	f func()
}

func (h onWarning) Enabled(_ context.Context, level slog.Level) bool { return level == slog.LevelWarn }

func (h onWarning) Handle(context.Context, slog.Record) error { h.f(); return nil }

func TestALockThatEndsWhileCloseBeginsIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *Manager
		closed := make(chan error, 1)
		closing := func() {
			if m.closed.Load() {
				return
			}
			go func() { closed <- m.Close(context.Background()) }()
			<-time.After(1) //nolint:forbidigo // in a bubble: Close waits for what it is to wait for
		}
		r := newRig(t, 3, Config{TTL: 4 * time.Second}, WithLogger(slog.New(onWarning{slog.DiscardHandler, closing})))
		m = r.Manager
		r.connected()
		r.nodes[2].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			a.Cut = c.Name == "SET" // this node is owed a release from here on
			return a
		})
		lock := r.mustLock(r.Manager, "a")
		r.nodes[2].OnCommand(nil)
		<-lock.Done()
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("Close waits for a release that nobody sends")
			m.nodes[2].mu.Lock()
			m.nodes[2].oweLocked(-1)
			m.nodes[2].mu.Unlock()
		}
		passTime(1) // the handler has returned
	})
}

func TestAnExtendThatWaitsForItsTurnReturnsErrClosed(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.Stall(true)
		}
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- lock.Extend(context.Background(), 0) }()
		}
		synctest.Wait()
		time.AfterFunc(10*time.Millisecond, func() {
			for _, node := range r.nodes {
				node.Stall(false)
			}
		})
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := <-results; !errors.Is(err, ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestAPingThatCloseCutsShortReturnsErrClosed(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Deny("ping") // which has answered by then
		r.nodes[1].Pause()
		result := make(chan error, 1)
		go func() { result <- r.Ping(context.Background()) }()
		synctest.Wait()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		r.nodes[1].Resume()
	})
}

func TestALockThatIsWonAfterCloseHasTakenTheLocksIsErrClosed(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		held := r.held
		r.held = nil // Close does this before it ends the calls in progress
		if _, err := r.Lock(t.Context(), "a"); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		r.held = held
		synctest.Wait()
		r.mustHave("a", 0)
	})
}

// mustCloseInTime wants Close to return soon after its ctx of 100 ms.
func mustCloseInTime(t *testing.T, m *Manager) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_ = m.Close(ctx) // with the keys that are unconfirmed, or without
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestCloseDoesNotWaitForAHandshakeThatIsNotAnswered(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		n := Addr("10.0.0.1", 6379)
		n.connectTimeout = 30 * time.Second
		m := r.manager(Config{Nodes: []Node{n}})
		r.nodes[0].Pause()
		if _, err := m.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		mustCloseInTime(t, m)
		r.nodes[0].Resume()
	})
}

func TestCloseDoesNotWaitForAConnectionThatWasGivenUpBefore(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Stall(true)
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(1500 * time.Millisecond) // it has been given up, and lingers
		mustCloseInTime(t, r.Manager)
		r.nodes[0].Stall(false)
	})
}

func TestCloseWaitsForNoCodeOfTheUsersBeyondItsContext(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		done := make(chan struct{})
		time.AfterFunc(time.Minute, func() { close(done) })
		for name, use := range map[string]func() *Manager{
			"Credentials": func() *Manager {
				n := Addr("10.0.0.1", 6379)
				n.Credentials = func(context.Context) (string, string, error) { <-done; return "", "", nil }
				m := r.manager(Config{Nodes: []Node{n}})
				_ = m.Ping(t.Context())
				return m
			},
			"a Dialer": func() *Manager {
				n := Addr("10.0.0.1", 6379)
				n.Dialer = func(context.Context, string, string) (net.Conn, error) { <-done; return nil, io.EOF }
				m := r.manager(Config{Nodes: []Node{n}})
				_ = m.Ping(t.Context())
				return m
			},
			"a log handler": func() *Manager {
				m := r.manager(Config{Nodes: []Node{Addr("10.0.0.2", 6379)}},
					WithLogger(slog.New(onWarning{slog.DiscardHandler, func() { <-done }})))
				_ = m.Ping(t.Context())
				return m
			},
			"a pause": func() *Manager {
				m := r.manager(Config{})
				r.nodes[0].Set("a", "someone's", time.Hour)
				go func() {
					_, err := m.Lock(context.Background(), "a", WithBackoff(func(int) time.Duration { <-done; return time.Second }))
					if !errors.Is(err, ErrClosed) {
						t.Errorf("got %v", err)
					}
				}()
				return m
			},
		} {
			m := use()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			start := time.Now()
			if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v", name, err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
			cancel()
		}
		<-done
		synctest.Wait()
	})
}

// overtaken is a connection on which the first deadline of a write is late: f is
// called before it is set.
type overtaken struct {
	net.Conn
	f func()
}

func (c *overtaken) SetWriteDeadline(t time.Time) error {
	if f := c.f; f != nil {
		c.f = nil
		f()
	}
	return c.Conn.SetWriteDeadline(t)
}

func TestAWriteThatBeginsWhileItsConnectionIsGivenUpKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe() // nobody reads
		ping := pingRequest()
		conn := &overtaken{Conn: ours}
		n := &node{silence: time.Minute, queue: []*command{{req: &ping, state: queued}}}
		n.stream = &stream{n: n, conn: conn, turn: make(chan struct{}, 1),
			ended: make(chan struct{}), closed: make(chan struct{})}
		s := n.stream
		conn.f = func() {
			s.end(ErrClosed)
			go s.close(nil)
			synctest.Wait() // it has set its deadline, and waits for its turn
		}
		start := time.Now()
		s.turn <- struct{}{}
		s.flush()
		<-s.turn
		<-s.closed
		if took := time.Since(start); took > 10*farewell {
			t.Errorf("it took %v", took)
		}
		_ = ours.Close()
		_ = theirs.Close()
	})
}

func TestAServerThatStopsReadingOverTLSKeepsNobodyFromGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certificate, authorities := certify(t)
		ours, theirs := net.Pipe()
		server := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		go func() { _ = server.Handshake() }() // and then it reads no more
		client := tls.Client(ours, &tls.Config{RootCAs: authorities, ServerName: "10.0.0.1", MinVersion: tls.VersionTLS12})
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		s := &stream{conn: client, turn: make(chan struct{}, 1), closed: make(chan struct{})}
		start := time.Now()
		s.close([]byte("*1\r\n$4\r\nPING\r\n"))
		if took := time.Since(start); took > 10*farewell {
			t.Errorf("it took %v", took)
		}
		_ = ours.Close()
		_ = theirs.Close()
	})
}

// wantReleasedByACloseWithoutTime closes the manager while a command is in
// flight, which the release of its lock has to wait for.
func wantReleasedByACloseWithoutTime(t *testing.T, r *rig) {
	r.mustLock(r.Manager, "a")
	for _, node := range r.nodes {
		node.SetDelay(0, 50*time.Millisecond)
	}
	asking := make(chan struct{})
	go func() {
		defer close(asking)
		_, _ = r.IsLocked(context.Background(), "a")
	}()
	synctest.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = r.Close(ctx)
	<-asking
	passTime(time.Second)
	r.mustHave("a", 0)
}

func TestCloseWithAContextThatHasEndedSendsTheReleasesThatWait(t *testing.T) {
	for range 20 { // the writer may get to it first
		bubble(t, 3, Config{}, wantReleasedByACloseWithoutTime)
	}
}
