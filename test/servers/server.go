package servers

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlock-go/redlock/test/loopback"
)

// patience is how long the harness waits for a server to do as it is told.
const patience = 30 * time.Second

var noMaintenance = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

// Server is one running server. Its methods fail the test that calls them.
type Server struct {
	Kind   Kind
	Port   int
	Addr   string        // host:port
	Socket string        // path of its unix socket, if Options.Socket
	Client *redis.Client // for looking at keys and for making trouble

	options Options
	dir     string
	runner  runner

	mu     sync.Mutex
	paused bool // guarded by mu
}

// runner is a server's process, in a container or not.
type runner interface {
	start(ctx context.Context) error // again, after kill
	kill(ctx context.Context) error  // SIGKILL; returns when it is gone
	pause(ctx context.Context) error // SIGSTOP, or the freezer
	resume(ctx context.Context) error
	stop(ctx context.Context) error // for good, with what belongs to it
	alive() bool
	output() string
}

// Start starts a server that stops with the test. Where the kind cannot run, the
// test is skipped, or fails if REDLOCK_TEST_REQUIRE says so.
func Start(t testing.TB, kind Kind, options Options) *Server {
	t.Helper()
	return StartN(t, kind, 1, options)[0]
}

// StartN starts n servers at once, see [Start].
func StartN(t testing.TB, kind Kind, n int, options Options) []*Server {
	t.Helper()
	Need(t, kind)
	if options.Clock {
		needClock(t)
	}
	started, err := startAll(n, func(int) (*Server, error) {
		return start(t.Context(), kind, options, loopback.Port())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stopAll(started); err != nil {
			t.Errorf("stopping %s: %v", kind, err)
		}
	})
	return started
}

// Need skips the test where kind cannot run, and fails it where nothing may be
// skipped.
func Need(t testing.TB, kind Kind) {
	t.Helper()
	need(t, kind.Missing())
}

// need is for a test that cannot run for the given reason, if there is one.
func need(t testing.TB, reason string) {
	t.Helper()
	switch {
	case reason == "":
	case Required():
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

func start(ctx context.Context, kind Kind, options Options, port int) (*Server, error) {
	where, err := kind.find()
	if err != nil {
		return nil, err
	}
	// Not the test's own directory: the path of a unix socket is short.
	dir, err := os.MkdirTemp("", "redlock")
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, Port: port, Addr: loopback.Addr(port), options: options, dir: dir}
	if options.Socket {
		s.Socket = socketPath(dir)
	}
	if s.runner, err = s.run(ctx, where); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("starting %s: %w", kind, err)
	}
	s.Client = options.client(s.Addr)
	if err := s.waitUp(ctx); err != nil {
		_ = s.stop(ctx)
		return nil, err
	}
	return s, nil
}

func (s *Server) run(ctx context.Context, where place) (runner, error) {
	config, err := s.options.write(s.dir, s.Port)
	if err != nil {
		return nil, err
	}
	command := []string{s.Kind.program, config}
	if s.options.sentinel {
		command = append(command, "--sentinel")
	}
	var env []string
	if s.options.Clock {
		if env, err = installClock(s.dir); err != nil {
			return nil, err
		}
	}
	if where.image != "" {
		return runContainer(ctx, where.image, command, env, s.dir)
	}
	command[0] = where.path
	return runProcess(ctx, command, env, s.dir)
}

// waitUp returns when the server answers, has ended by itself, or patience has.
func (s *Server) waitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !s.runner.alive() {
			return fmt.Errorf("%s on %s does not answer: %w\n%s", s.Kind, s.Addr, err, s.runner.output())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// answers dials by itself first: go-redis logs each dial that fails.
func (s *Server) answers(ctx context.Context) error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	_ = conn.Close()
	return s.Client.Ping(ctx).Err()
}

// URI is the server's address with its scheme and password.
func (s *Server) URI() string {
	u := url.URL{Scheme: "redis", Host: s.Addr}
	if s.options.TLS != nil {
		u.Scheme = "rediss"
	}
	if s.options.Password != "" {
		u.User = url.UserPassword("", s.options.Password)
	}
	return u.String()
}

// Version is what the server says that it is, such as "Redis 7.0.15".
func (s *Server) Version(ctx context.Context) string {
	info, err := s.Client.Info(ctx, "server").Result()
	if err != nil {
		return "unknown"
	}
	// Valkey gives both; redis_version is then the version that it imitates.
	for _, name := range []string{"Valkey", "Redis"} {
		_, version, found := strings.Cut(info, "\n"+strings.ToLower(name)+"_version:")
		if found {
			version, _, _ = strings.Cut(version, "\r")
			return name + " " + version
		}
	}
	return "unknown"
}

// Kill ends the server as by kill -9 and returns when it is gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.must(t, s.runner.kill)
}

// Restart starts a server that was killed, or kills it first. It has its old
// address; what it knew is gone but for Options.Durable.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if s.runner.alive() {
		s.Kill(t)
	}
	s.must(t, s.runner.start)
	s.must(t, s.waitUp)
}

// Pause stops the server in the middle of what it does. Connections stay open
// and new ones are accepted by the kernel; what is sent is executed later.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.paused {
		s.must(t, s.runner.pause)
		s.paused = true
	}
}

// Continue lets a paused server go on.
func (s *Server) Continue(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused {
		s.must(t, s.runner.resume)
		s.paused = false
	}
}

func (s *Server) must(t testing.TB, step func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := step(ctx); err != nil {
		t.Fatalf("%s on %s: %v", s.Kind, s.Addr, err)
	}
}

// stop ends the server for good and removes what it left.
func (s *Server) stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused {
		// A frozen container cannot be removed by every Docker.
		_ = s.runner.resume(ctx)
		s.paused = false
	}
	_ = s.Client.Close()
	err := s.runner.stop(ctx)
	if removed := os.RemoveAll(s.dir); err == nil {
		err = removed
	}
	return err
}

func socketPath(dir string) string { return filepath.Join(dir, "redis.sock") }
