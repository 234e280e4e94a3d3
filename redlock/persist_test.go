package redlock

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// lockWithoutAnswerOf takes a lock without expiry, whose acquire is lost on its
// way to the last of three nodes.
func lockWithoutAnswerOf(t *testing.T, r *rig, opts ...LockOption) *Lock {
	t.Helper()
	r.connected()
	r.nodes[2].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
		a.Cut = c.Name == "SET" || strings.HasPrefix(c.Name, "EVAL")
		return a
	})
	lock := r.mustLock(r.Manager, "a", append(opts, WithNoExpiry())...)
	r.nodes[2].OnCommand(nil)
	r.nodes[2].Deny("set") // nor is it given the key later
	passTime(time.Second)
	return lock
}

func TestALostAcquireOfALockWithoutExpiryIsSettledByItsTTL(t *testing.T) {
	bubble(t, 3, Config{TTL: 2 * time.Second}, func(t *testing.T, r *rig) {
		r.nodes[2].Deny("client|kill") // so that time alone can settle it
		lock := lockWithoutAnswerOf(t, r)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		passTime(10 * time.Second)
		if owed := r.Manager.nodes[2].owed; owed != 0 {
			t.Errorf("the node is owed %d releases", owed)
		}
		r.nodes[2].FailWith("client|kill", "")
		r.nodes[2].KillClients()
		passTime(time.Second)
	})
}

func TestAGivenTokenWithoutExpiryIsFreeAgainAfterALostAcquire(t *testing.T) {
	for _, away := range []bool{false, true} {
		bubble(t, 3, Config{TTL: 2 * time.Second}, func(t *testing.T, r *rig) {
			lock := lockWithoutAnswerOf(t, r, WithToken("mine"))
			if away {
				r.nodes[2].Kill()
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			passTime(10 * time.Second)
			r.nodes[2].FailWith("set", "")
			lock, err := r.TryLock(t.Context(), "a", WithToken("mine"))
			if err != nil {
				t.Fatalf("away %v: %v", away, err)
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			r.nodes[2].Start()
		})
	}
}

func TestLockGivesUpWhereNoMajorityMayPersist(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for _, node := range r.nodes {
			node.Deny("persist")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		_, err := r.Lock(ctx, "a", WithNoExpiry())
		if !errors.Is(err, ErrNoQuorum) || !errors.As(err, new(*ConfigError)) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took < patience || took > 3*patience {
			t.Errorf("it took %v", took)
		}
		passTime(reaped)
		r.mustHave("a", 0)
	})
}
