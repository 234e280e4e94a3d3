package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// logged is all that the library and go-redis log, line by line.
type logged struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (l *logged) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, strings.TrimSuffix(line, "\n"))
}

// Write is for a handler of package slog, which writes a line at a time.
func (l *logged) Write(line []byte) (int, error) {
	l.add(string(line))
	return len(line), nil
}

// Printf is for go-redis.
func (l *logged) Printf(_ context.Context, format string, args ...any) {
	l.add("redis: " + fmt.Sprintf(format, args...))
}

func (l *logged) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.all
	l.all = nil
	return taken
}

// mostLines is what a dead node may add to a log in a minute, its return
// included.
const mostLines = 5

// The logger of go-redis is one for the process: this test has a process of its
// own.
func TestANodeThatIsDeadForAMinuteUnderLoadIsFiveLinesOfLogAtMost(t *testing.T) {
	const alone = "REDLOCK_TEST_ALONE"
	if os.Getenv(alone) == "" {
		t.Parallel()
		binary, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		again := exec.CommandContext(t.Context(), binary, "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), alone+"=1")
		if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	log := new(logged)
	redis.SetLogger(log)
	logger := WithLogger(slog.New(slog.NewTextHandler(log, nil)))
	for name, fault := range map[string]struct{ begin, end func(*fakeredis.Node) }{
		"its process has ended":    {(*fakeredis.Node).Kill, (*fakeredis.Node).Start},
		"its process is stopped":   {(*fakeredis.Node).Pause, (*fakeredis.Node).Resume},
		"its machine is cut off":   {func(n *fakeredis.Node) { n.Blackhole(true) }, comesBack},
		"a proxy resets what came": {func(n *fakeredis.Node) { n.OnCommand(reset); n.KillClients() }, comesBack},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				dieUnderLoad(t, r, log, fault.begin, fault.end)
			}, logger)
		})
	}
	// go-redis logs each dial of such a client that has failed for good.
	t.Run("it is behind a client that was given", func(t *testing.T) {
		bringYourOwn(t, 3, func(t *testing.T, r *rig) {
			if err := logger.option(r.Manager); err != nil {
				t.Fatal(err)
			}
			dieUnderLoad(t, r, log, (*fakeredis.Node).Kill, (*fakeredis.Node).Start)
		})
	})
}

func reset(fakeredis.Command) fakeredis.Action { return fakeredis.Action{Cut: true} }

func comesBack(n *fakeredis.Node) {
	n.Blackhole(false)
	n.OnCommand(nil)
}

// dieUnderLoad has locks be taken, waited for and given back all the time, and a
// node be dead for a minute of it.
func dieUnderLoad(t *testing.T, r *rig, log *logged, begin, end func(*fakeredis.Node)) {
	r.connected()
	working, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var taken atomic.Int64
	for i := range 6 {
		resource := fmt.Sprint(i % 4) // two of them are contended
		callers.Go(func() {
			for working.Err() == nil {
				lock, err := r.Lock(working, resource)
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("with two nodes of three: %v", err)
					}
					continue
				}
				passFor(500 * time.Millisecond)
				_ = lock.Unlock(t.Context())
				taken.Add(1)
			}
		})
	}
	passFor(5 * time.Second)
	log.take()
	begin(r.nodes[0])
	passFor(time.Minute)
	end(r.nodes[0])
	passFor(5 * time.Second)
	stop()
	callers.Wait()
	if all := log.take(); len(all) == 0 || len(all) > mostLines {
		t.Errorf("%d lines:\n%s", len(all), strings.Join(all, "\n"))
	}
	if taken.Load() < 300 {
		t.Errorf("only %d locks were taken: that is no load", taken.Load())
	}
}

// passFor lets time pass for a caller among others.
func passFor(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in bubbles alone: it costs no time
}
