package redlock

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAnErrorWithoutVotesNamesTheCallAndTheLibraryOnce(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		held := r.mustLock(r.Manager, "a", WithToken("chosen"))
		r.nodes[2].Pause()
		used := r.mustLock(r.Manager, "b", WithToken("chosen"))
		if err := used.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, c := range []struct {
			call func() error
			is   error
			text string
		}{
			{func() error { _, err := r.Lock(t.Context(), "a", WithToken("chosen")); return err },
				ErrAlreadyHeld, `redlock: lock "a": already held by this manager`},
			{func() error { _, err := r.TryLock(t.Context(), "b", WithToken("chosen")); return err },
				ErrNoQuorum, `redlock: lock "b": no quorum: nodes may still keep the last use of this token`},
			{func() error { _, err := r.Resume(t.Context(), "a", held.Token()); return err },
				ErrAlreadyHeld, `redlock: resume "a": already held by this manager`},
			{func() error { _, err := r.Lock(late, "a"); return err },
				ErrTaken, `redlock: lock "a": taken by this manager: context deadline exceeded`},
		} {
			if err := c.call(); !errors.Is(err, c.is) || err.Error() != c.text {
				t.Errorf("got  %v\nwant %s", err, c.text)
			}
		}
	})
}
