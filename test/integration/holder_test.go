package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// A holder is another process, this program once more, that takes locks. It can
// be stopped, run out of files, and lose its name server, and nothing else with
// it.

// holderEnv, where set, makes the program a holder with these nodes; namesEnv
// is the name server that it asks.
const (
	holderEnv = "REDLOCK_TEST_HOLDER"
	namesEnv  = "REDLOCK_TEST_HOLDER_NAMES"
)

// order is what a holder is told, on a line of its standard input.
type order struct {
	Do       string // TryLock, Extend, IsHeld, Unlock, Look, Ping or Files
	Resource string
	TTL      time.Duration
	Files    uint64 // how many it may have open
}

// account is what it says of it, on a line of its standard output.
type account struct {
	Error     string   // empty: none
	Matches   []string // the verdicts that the error matches
	Valid     bool     // whether it takes its lock for valid
	Done      bool     // whether the lock's Done is closed
	Err       string   // the lock's Err
	Remaining time.Duration
	Token     string
}

var verdicts = map[string]error{
	"ErrTaken": redlock.ErrTaken, "ErrNoQuorum": redlock.ErrNoQuorum, "ErrNotHeld": redlock.ErrNotHeld,
	"ErrExpired": redlock.ErrExpired, "ErrLost": redlock.ErrLost,
}

// beHolder follows orders until there are no more.
func beHolder(nodes string) error {
	if server := os.Getenv(namesEnv); server != "" {
		net.DefaultResolver = &net.Resolver{PreferGo: true,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "udp", server)
			}}
	}
	parsed, err := redlock.ParseNodes(nodes)
	if err != nil {
		return err
	}
	m, err := redlock.New(redlock.Config{Nodes: parsed, NodeTimeout: patience})
	if err != nil {
		return err
	}
	var lock *redlock.Lock
	out := json.NewEncoder(os.Stdout)
	in := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil // its locks are left as they are
		} else if err != nil {
			return err
		}
		err := o.follow(m, &lock)
		if err := out.Encode(accountOf(lock, err)); err != nil {
			return err
		}
	}
}

func (o order) follow(m *redlock.Manager, lock **redlock.Lock) error {
	ctx := context.Background()
	switch o.Do {
	case "TryLock":
		taken, err := m.TryLock(ctx, o.Resource, redlock.WithTTL(o.TTL))
		*lock = taken
		return err
	case "Extend":
		return (*lock).Extend(ctx, 0)
	case "IsHeld":
		_, err := (*lock).IsHeld(ctx)
		return err
	case "Unlock":
		return (*lock).Unlock(ctx)
	case "Ping":
		return m.Ping(ctx)
	case "Files":
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		limit.Cur = o.Files
		return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	case "Look":
		return nil
	}
	return errors.New("no such order: " + o.Do)
}

func accountOf(lock *redlock.Lock, err error) (a account) {
	if err != nil {
		a.Error = err.Error()
	}
	for name, verdict := range verdicts {
		if errors.Is(err, verdict) {
			a.Matches = append(a.Matches, name)
		}
	}
	if lock == nil {
		return a
	}
	a.Valid = lock.Valid() // first: the timer may not have run yet
	if err := lock.Err(); err != nil {
		a.Err = err.Error()
	}
	a.Done = isDone(lock.Done())
	a.Token, a.Remaining = lock.Token(), lock.Remaining()
	return a
}

// holder is one as the test has it.
type holder struct {
	process *os.Process
	in      io.WriteCloser
	out     *json.Decoder
}

// startHolder starts one with these nodes, and with a name server where names
// is not empty. It ends with the test.
func startHolder(t *testing.T, names string, nodes ...string) *holder {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), holderEnv+"="+strings.Join(nodes, " "), namesEnv+"="+names)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &holder{process: cmd.Process, in: in, out: json.NewDecoder(bufio.NewReader(out))}
}

// nodesOf are the nodes of q as a holder is given them.
func nodesOf(q *Quorum) (nodes []string) {
	for _, node := range q.Nodes {
		nodes = append(nodes, "redis://"+node.String())
	}
	return nodes
}

// tell gives an order and does not wait for what becomes of it.
func (h *holder) tell(t *testing.T, o order) {
	t.Helper()
	if err := json.NewEncoder(h.in).Encode(o); err != nil {
		t.Fatal(err)
	}
}

// hear returns what became of the first order of which that was not heard yet.
func (h *holder) hear(t *testing.T) (a account) {
	t.Helper()
	if err := h.out.Decode(&a); err != nil {
		t.Fatalf("the holder says nothing: %v", err)
	}
	return a
}

func (h *holder) do(t *testing.T, o order) account {
	t.Helper()
	h.tell(t, o)
	return h.hear(t)
}

// must is do, and fails where that returned an error.
func (h *holder) must(t *testing.T, o order) account {
	t.Helper()
	a := h.do(t, o)
	if a.Error != "" {
		t.Fatalf("%s: %s", o.Do, a.Error)
	}
	return a
}

// pause stops the holder and returns when it has stopped.
func (h *holder) pause(t *testing.T) {
	t.Helper()
	err := h.process.Signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if err == nil {
		_, err = syscall.Wait4(h.process.Pid, &status, syscall.WUNTRACED, nil)
	}
	if err != nil || !status.Stopped() {
		t.Fatalf("the holder is not stopped: %v, %v", status, err)
	}
}

// resume lets it go on.
func (h *holder) resume(t *testing.T) {
	t.Helper()
	if err := h.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
