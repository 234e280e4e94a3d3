package contract_test

import (
	"errors"
	"testing"

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
}
