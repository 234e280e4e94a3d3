package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// comingBack is how soon a node votes again: a second, and two more for a machine
// that has other things to do.
const comingBack = 3 * time.Second

// absence is one way in which a server goes away and comes back.
type absence struct {
	name        string
	leave, back func(s *servers.Server, t testing.TB)
}

var absences = []absence{
	{"killed", (*servers.Server).Kill, (*servers.Server).Restart},
	{"paused", (*servers.Server).Pause, (*servers.Server).Continue},
}

// eachAbsence runs a test on n servers of its own for each way to go away.
func eachAbsence(t *testing.T, n int, test func(t *testing.T, q *Quorum, away absence)) {
	for _, away := range absences {
		t.Run(away.name, func(t *testing.T) {
			rowsWith(t, n, servers.Options{}, func(t *testing.T, q *Quorum) { test(t, q, away) })
		})
	}
}

// newConnected makes a manager that has met its nodes: where a node has little time
// to answer, that must not go into connecting.
func newConnected(t *testing.T, q *Quorum, cfg redlock.Config) *redlock.Manager {
	t.Helper()
	m := q.New(t, cfg)
	eventually(t, 10*time.Second, func() error { return m.Ping(t.Context()) })
	return m
}

// inTime fails the test if call takes longer than limit, and returns its error.
func inTime(t *testing.T, what string, limit time.Duration, call func() error) error {
	t.Helper()
	begun := time.Now()
	err := call()
	if took := time.Since(begun); took > limit {
		t.Errorf("%s took %v, want at most %v (it returned %v)", what, took, limit, err)
	}
	return err
}

// wantNoQuorumOf fails the test unless err is ErrNoQuorum and names the nodes that
// are to blame, and no other.
func wantNoQuorumOf(t *testing.T, what string, err error, q *Quorum, blamed ...int) {
	t.Helper()
	if !errors.Is(err, redlock.ErrNoQuorum) || errors.Is(err, redlock.ErrTaken) {
		t.Errorf("%s: got %v, want ErrNoQuorum", what, err)
		return
	}
	for i, node := range q.Nodes {
		name := fmt.Sprintf("%s:%d", node.Host, node.Port)
		named := slices.ContainsFunc(nodeErrors(err), func(e *redlock.NodeError) bool { return e.Node == name })
		if named != slices.Contains(blamed, i) || named && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: node %d (%s) is named: %t; the error is %v", what, i, name, named, err)
		}
	}
}

// nodeErrors are all the nodes' errors inside err.
func nodeErrors(err error) []*redlock.NodeError {
	if node, ok := err.(*redlock.NodeError); ok {
		return []*redlock.NodeError{node}
	}
	var inner []error
	switch wrapper := err.(type) {
	case interface{ Unwrap() []error }:
		inner = wrapper.Unwrap()
	case interface{ WrappedErrors() []error }:
		inner = wrapper.WrappedErrors()
	case interface{ Unwrap() error }:
		inner = []error{wrapper.Unwrap()}
	}
	var all []*redlock.NodeError
	for _, err := range inner {
		all = append(all, nodeErrors(err)...)
	}
	return all
}

// wantVoteOf fails the test unless s votes for m within the given time: a lock
// that m takes is there.
func wantVoteOf(t *testing.T, q *Quorum, m *redlock.Manager, s *servers.Server, within time.Duration) {
	t.Helper()
	eventually(t, within, func() error {
		lock, err := m.TryLock(t.Context(), q.Resource(t))
		if err != nil {
			return err
		}
		defer lock.Unlock(t.Context())
		return keptSoon(t, s, lock)
	})
}

// keptSoon waits a second for s to keep the lock: a call returns when a majority has it.
func keptSoon(t *testing.T, s *servers.Server, lock *redlock.Lock) error {
	deadline := time.Now().Add(time.Second)
	for {
		value, err := s.Client.Get(t.Context(), lock.Resource()).Result()
		if err == nil && value == lock.Token() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not vote: it keeps %q (%v)", s.Addr, value, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
