package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// wantMatches fails unless what a holder was told to do has failed with the
// verdict.
func wantMatches(t *testing.T, what string, a account, verdict string) {
	t.Helper()
	if !slices.Contains(a.Matches, verdict) {
		t.Errorf("%s: got %q, want %s", what, a.Error, verdict)
	}
}

// A client that is stopped, as by a garbage collection or a debugger, knows of
// its time only when it goes on. Its clocks have gone on meanwhile.
func TestAClientThatWasPausedPastTheTTLKnowsThatItsLockIsOver(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		h, resource := startHolder(t, "", nodesOf(q)...), q.Resource(t)
		others := newConnected(t, q, redlock.Config{TTL: time.Minute})
		first := h.must(t, order{Do: "TryLock", Resource: resource, TTL: 2 * time.Second})
		if !first.Valid {
			t.Fatalf("it holds no lock: %+v", first)
		}
		h.pause(t)
		next := wantLock(t, others, resource, 10*time.Second)
		// It asks when a majority is free: the node where the first key ends last may
		// have refused, and is given it now.
		if err := next.Extend(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		q.WantEverywhere(t, resource, next.Token(), 5*time.Second)
		h.tell(t, order{Do: "Look"}) // so that it is the first that it does
		h.resume(t)
		if a := h.hear(t); a.Valid || !a.Done || a.Err == "" || a.Remaining > 0 {
			t.Errorf("after the pause it says %+v", a)
		}
		wantMatches(t, "Extend", h.do(t, order{Do: "Extend"}), "ErrExpired")
		wantMatches(t, "Unlock", h.do(t, order{Do: "Unlock"}), "ErrExpired")
		q.WantEverywhere(t, resource, next.Token(), 0)
		mustUnlock(t, next)
		q.WantFree(t, resource, time.Second)
	})
}

// The grants were in time and their reading was not: nothing but the client's
// clock tells.
func TestAClientThatWasPausedWhileItTookALockHasNotTakenIt(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		const ttl = 1500 * time.Millisecond
		proxies := q.Proxies(t)
		h, resource := startHolder(t, "", nodesOf(q)...), q.Resource(t)
		others := newConnected(t, q, redlock.Config{TTL: time.Minute})
		h.must(t, order{Do: "Ping"})
		granted := make(chan struct{}, len(proxies))
		for _, p := range proxies {
			p.Handle(func(m proxy.Message) proxy.Action {
				if m.Direction == proxy.ToClient && m.Name == "SET" {
					granted <- struct{}{}
					return proxy.Hold
				}
				return proxy.Pass
			})
		}
		h.tell(t, order{Do: "TryLock", Resource: resource, TTL: ttl})
		for range proxies {
			<-granted
		}
		h.pause(t)
		letGo(proxies...)
		q.WantFree(t, resource, ttl+5*time.Second) // by themselves: nobody has released them
		next := wantLock(t, others, resource, 10*time.Second)
		h.resume(t)
		a := h.hear(t)
		wantMatches(t, "TryLock", a, "ErrNoQuorum")
		if a.Valid {
			t.Errorf("it takes a lock for valid: %+v", a)
		}
		wantMatches(t, "another TryLock", h.do(t, order{Do: "TryLock", Resource: resource, TTL: ttl}), "ErrTaken")
		q.WantEverywhere(t, resource, next.Token(), reaped)
		mustUnlock(t, next)
		q.WantFree(t, resource, time.Second)
	})
}

// A client without free file descriptors can open no connection. Those that it
// has go on; where they end, it says what is wrong, and goes on when it can.
func TestAClientWithoutFileDescriptorsKeepsItsLocksAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		h, resource := startHolder(t, "", nodesOf(q)...), q.Resource(t)
		held := h.must(t, order{Do: "TryLock", Resource: resource, TTL: time.Minute})
		q.WantEverywhere(t, resource, held.Token, time.Second)
		h.must(t, order{Do: "Files", Files: 3})
		for _, do := range []string{"Extend", "IsHeld"} {
			if a := h.must(t, order{Do: do}); !a.Valid {
				t.Errorf("after %s: %+v", do, a)
			}
		}
		for _, s := range q.Servers {
			killConnections(t, s)
		}
		var a account
		eventually(t, 5*time.Second, func() error {
			a = h.do(t, order{Do: "Extend"})
			if strings.Count(a.Error, "too many open files") < 2 {
				return fmt.Errorf("got %+v", a)
			}
			return nil
		})
		wantMatches(t, "Extend", a, "ErrNoQuorum")
		if !a.Valid {
			t.Errorf("the lock is over: %+v", a)
		}
		h.must(t, order{Do: "Files", Files: 256})
		eventually(t, comingBack, func() error {
			if a := h.do(t, order{Do: "Extend"}); a.Error != "" {
				return errors.New(a.Error)
			}
			return nil
		})
		h.must(t, order{Do: "Unlock"})
		q.WantFree(t, resource, 5*time.Second)
	})
}
