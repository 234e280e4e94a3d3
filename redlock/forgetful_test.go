package redlock

import (
	"errors"
	"testing"
	"time"
)

// What a minority of the nodes forgets gives no lock away.
func TestAMinorityThatForgetsALockGivesItToNobody(t *testing.T) {
	for name, forget := range map[string]func(r *rig){
		"a restart without the data": func(r *rig) { r.nodes[0].StartEmpty() },
		"a clock that jumps forward": func(r *rig) { r.nodes[0].AdvanceClock(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				rival := r.manager(Config{})
				lock := r.mustLock(r.Manager, "a")
				r.mustHave("a", 3)
				forget(r)
				passTime(time.Second)
				r.mustHave("a", 2)
				if _, err := rival.TryLock(t.Context(), "a"); !errors.Is(err, ErrTaken) {
					t.Errorf("a rival got %v", err)
				}
				if err := lock.Extend(t.Context(), 0); err != nil || !lock.Valid() {
					t.Errorf("the holder got %v", err)
				}
			})
		})
	}
}

func TestAMinorityWhoseClockJumpsBackKeepsALockFromNobody(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		rival := r.manager(Config{})
		r.connected()
		for _, node := range r.nodes {
			node.Deny("del") // the lock stays until it expires
		}
		r.mustLock(r.Manager, "a")
		r.nodes[0].AdvanceClock(-time.Minute)
		passTime(1500 * time.Millisecond)
		r.mustHave("a", 1)
		r.mustLock(rival, "a")
		for _, node := range r.nodes {
			node.FailWith("del", "")
		}
	})
}

func TestANodeWithoutRoomForClientsKeepsThoseItHasAndVotesWithinASecondOfHavingRoom(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		other := r.manager(Config{})
		r.connected()
		r.nodes[0].SetMaxClients(1)
		if _, err := other.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		r.mustLock(r.Manager, "b") // who is connected stays so
		r.nodes[0].SetMaxClients(0)
		passTime(time.Second)
		r.mustLock(other, "a")
	})
}
