package redlock

import (
	"math/bits"
	"testing"
	"time"
)

// What docs/operations.md advises.

func TestMajoritiesOfListsThatDifferByOneNodeMoreOrLessShareANode(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 7; n++ {
		before, after := uint(1)<<n-1, uint(1)<<(n+1)-1 // bits are nodes
		if !alwaysMeet(before, after) {
			t.Errorf("%d nodes and one more: two majorities without a common node", n)
		}
	}
	if alwaysMeet(0b0111, 0b1011) {
		t.Error("three nodes of which one was replaced: all majorities share a node, and the guide says otherwise")
	}
	if alwaysMeet(0b001, 0b111) {
		t.Error("one node and three: all majorities share a node, and the guide says otherwise")
	}
}

// alwaysMeet reports whether each majority of the nodes in a shares one with each
// majority of those in b.
func alwaysMeet(a, b uint) bool {
	for one := range a + 1 {
		for other := range b + 1 {
			if isMajority(one, a) && isMajority(other, b) && one&other == 0 {
				return false
			}
		}
	}
	return true
}

func isMajority(some, all uint) bool {
	return some&^all == 0 && bits.OnesCount(some) >= majority(bits.OnesCount(all))
}

func TestARenewedLockSurvivesAMajorityThatIsAwayForAThirdOfItsTTL(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(r *rig, on bool){
		"killed": func(r *rig, on bool) {
			for _, node := range r.nodes[1:] {
				if on {
					node.Kill()
				} else {
					node.Start()
				}
			}
		},
		"stopped": func(r *rig, on bool) {
			for _, node := range r.nodes[1:] {
				if on {
					node.Pause()
				} else {
					node.Resume()
				}
			}
		},
		"cut off": func(r *rig, on bool) {
			for _, node := range r.nodes[1:] {
				node.Blackhole(on)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ttl := range []time.Duration{5 * time.Second, 10 * time.Second, time.Minute} {
				for phase := range time.Duration(5) { // of the outage, in the time between two renewals
					bubble(t, 3, Config{TTL: ttl}, func(t *testing.T, r *rig) {
						lock := r.mustLock(r.Manager, "a", WithAutoRenew())
						passTime(2*ttl + phase*ttl/15)
						away(r, true)
						passTime(ttl / 3)
						away(r, false)
						passTime(2 * ttl)
						if err := lock.Err(); err != nil {
							t.Errorf("a TTL of %v, phase %d: %v", ttl, phase, err)
						}
					})
				}
			}
		})
	}
}
