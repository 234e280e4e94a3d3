package contract_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/hashicorp/go-multierror"

	"github.com/redlock-go/redlock/redlock"
)

// sentinels are all of them, with what each matches besides itself.
var sentinels = []struct {
	err  error
	text string
	is   error // nil: nothing
}{
	{redlock.ErrTaken, "redlock: taken", nil},
	{redlock.ErrAlreadyHeld, "redlock: already held", redlock.ErrTaken},
	{redlock.ErrNoQuorum, "redlock: no quorum", nil},
	{redlock.ErrNotHeld, "redlock: not held", nil},
	{redlock.ErrExpired, "redlock: expired", redlock.ErrNotHeld},
	{redlock.ErrLost, "redlock: lost", redlock.ErrNotHeld},
	{redlock.ErrReleased, "redlock: released", redlock.ErrNotHeld},
	{redlock.ErrNoExpiry, "redlock: no expiry", nil},
	{redlock.ErrClosed, "redlock: closed", nil},
}

func TestEachErrorMatchesItselfAndTheOneThatItRefinesAndNoOther(t *testing.T) {
	for _, s := range sentinels {
		for _, target := range sentinels {
			want := s.err == target.err || s.is == target.err
			if got := errors.Is(s.err, target.err); got != want {
				t.Errorf("errors.Is(%v, %v) is %v", s.err, target.err, got)
			}
		}
	}
}

func TestErrorsSayWhatTheySaid(t *testing.T) {
	for _, s := range sentinels {
		if got := s.err.Error(); got != s.text {
			t.Errorf("got %q, want %q", got, s.text)
		}
	}
}

func TestStructErrorsUnwrapToWhatTheyCarry(t *testing.T) {
	cause := errors.New("cause")
	if err := (&redlock.NodeError{Node: "10.0.0.1:6379", Err: cause}); !errors.Is(err, cause) {
		t.Errorf("%v does not match its cause", err)
	}
	m, err := redlock.New(redlock.Config{Nodes: []redlock.Node{redlock.Addr("127.0.0.1", 1)}}) // nobody listens
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.TryLock(t.Context(), "a")
	var quorum *redlock.QuorumError
	if !errors.As(err, &quorum) || !errors.Is(quorum, redlock.ErrNoQuorum) {
		t.Fatalf("got %v, want a *QuorumError that matches ErrNoQuorum", err)
	}
	var nodes *multierror.Error
	var node *redlock.NodeError
	if !errors.As(quorum, &nodes) || !errors.As(quorum, &node) || node.Node != "127.0.0.1:1" {
		t.Errorf("%v does not unwrap to the error of its node", quorum)
	}
	if !errors.Is(quorum, syscall.ECONNREFUSED) {
		t.Errorf("%v does not match what its node failed for", quorum)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
