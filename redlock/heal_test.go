package redlock

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/scripts"
)

func TestANodeThatRestartsEmptyHasTheKeyAgainAfterTheNextRenewal(t *testing.T) {
	bubble(t, 5, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithAutoRenew())
		for _, node := range r.nodes { // one after the other, all of them
			node.Kill()
			passTime(5 * time.Second)
			node.StartEmpty()
			passTime(time.Second + lock.interval() + time.Second)
			if got := node.Get("a"); got != lock.Token() {
				t.Fatalf("the node has %q", got)
			}
			if left := node.PTTL("a"); left > lock.TTL() || left < time.Second {
				t.Errorf("the node keeps it for %v", left)
			}
		}
		if err := lock.Err(); err != nil {
			t.Error(err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.mustHave("a", 0)
	})
}

func TestAnExtendGivesTheKeyBackToNodesThatLackIt(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.nodes[2].FlushAll()
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.mustHave("a", 3)
		if left := r.nodes[2].PTTL("a"); left != time.Minute {
			t.Errorf("it is kept for %v there", left)
		}
	})
}

func TestANodeIsHealedWhoseGrantWasHeardAfterTheQuestionWasAsked(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[2].SetDelay(0, 10*time.Millisecond)
		lock := r.mustLock(r.Manager, "a")
		passTime(5 * time.Millisecond) // it has the key, and its answer is on the way
		r.nodes[2].FlushAll()
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		passTime(time.Second)
		r.mustHave("a", 3)
	})
}

func TestAHealNeverTakesAKeyFromSomebodyElse(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.nodes[2].FlushAll()
		r.nodes[2].Set("a", "theirs", time.Minute)
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := r.nodes[2].Get("a"); got != "theirs" {
			t.Errorf("the node has %q", got)
		}
	})
}

// The heal is on its way, executed or answered when Unlock is called: at every
// message.
func TestAnUnlockLeavesNothingOfAHeal(t *testing.T) {
	for k := 1; k < 40; k++ {
		bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
			r.slowDown()
			lock := r.mustLock(r.Manager, "a")
			r.nodes[2].FlushAll()
			reached := make(chan struct{}, 1)
			r.net.OnMessage(func(message int) {
				if message == k {
					reached <- struct{}{}
				}
			})
			extended := make(chan struct{})
			go func() {
				defer close(extended)
				_ = lock.Extend(t.Context(), time.Minute)
			}()
			select {
			case <-reached:
			case <-time.After(time.Second):
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Errorf("at message %d: %v", k, err)
			}
			<-extended
			passTime(time.Second)
			r.mustHave("a", 0)
		})
	}
}

func TestALockWithoutExpiryIsConfirmedAndHealed(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithNoExpiry())
		r.nodes[2].FlushAll()
		passTime(1200 * time.Millisecond)
		for i, node := range r.nodes {
			if node.Get("a") != lock.Token() || node.PTTL("a") >= 0 {
				t.Errorf("node %d has %q for %v", i, node.Get("a"), node.PTTL("a"))
			}
		}
		passTime(time.Minute)
		if err := lock.Err(); err != nil {
			t.Fatal(err)
		}
		r.nodes[0].FlushAll()
		r.nodes[1].FlushAll()
		passTime(1200 * time.Millisecond)
		if !errors.Is(lock.Err(), ErrLost) {
			t.Errorf("got %v", lock.Err())
		}
		r.mustHave("a", 0)
	})
}

func TestALockThatIsRenewedForgetsTheCommandsOfItsAcquire(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		r.nodes[1].Set("a", "theirs", time.Second)
		lock := r.mustLock(r.Manager, "a", WithAutoRenew())
		passTime(2 * time.Second)
		lock.mu.Lock()
		if lock.ballot != nil || len(lock.granted) != 3 || lock.granted[1] {
			t.Errorf("it keeps %v and %v", lock.ballot, lock.granted)
		}
		lock.mu.Unlock()
		passTime(2 * time.Second)
		r.mustHave("a", 3) // the one that refused was healed
		_ = lock.Unlock(t.Context())
		synctest.Wait()
		r.mustHave("a", 0)
		sent := 0
		for _, c := range r.nodes[1].Commands() {
			if strings.HasPrefix(c.Name, "EVALSHA") && c.Args[4] == "0" {
				sent++
			}
		}
		if sent != 1 {
			t.Errorf("%d releases were sent", sent)
		}
	})
}

func TestAHealThatAnUnlockOvertakesIsNotSent(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		n := r.Manager.nodes[2]
		req := replayableRequest(lock.key, lock.Token(), time.Minute)
		c := &command{req: &req, index: 2}
		passTime(time.Millisecond)
		if !lock.startHeal(n, c, time.Now()) {
			t.Fatal("no heal was begun")
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.submit(c) // what heal does next
		synctest.Wait()
		r.mustHave("a", 0)
	})
}

func TestARefusalThatIsOlderThanAHealBeginsNoOther(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.nodes[2].FlushAll()
		passTime(time.Millisecond)
		asked := time.Now()
		passTime(time.Millisecond)
		lock.heal(2, asked, time.Minute)
		synctest.Wait()
		first := lock.heals[2]
		r.nodes[2].Kill() // so that another one is never sent
		lock.heal(2, asked, time.Minute)
		if lock.heals[2] != first {
			t.Error("a second heal has taken the place of one that was granted")
		}
		r.nodes[2].Start()
	})
}

func TestALockWhoseKeyAnotherOneHasTakenIsOverBeforeThatIsReturned(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		older := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.FlushAll()
		}
		newer, err := r.TryLock(t.Context(), "a")
		if err != nil || !errors.Is(older.Err(), ErrLost) {
			t.Errorf("got %v; the older one is over with %v", err, older.Err())
		}
		synctest.Wait()
		if held := r.Held(); len(held) != 1 || held[0] != newer {
			t.Errorf("%d are held", len(held))
		}
		if n := r.nodes[0].Executed("EVALSHA"); n != 1 {
			t.Errorf("the older one was released %d times", n)
		}
		r.mustHave("a", 3)
	})
}

// A server that has lost its scripts answers a heal with NOSCRIPT. By then the
// lock may be over, and its release executed.
func TestAHealIsNotSentAgainInFullBehindItsRelease(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		lock := r.mustLock(r.Manager, "a")
		passTime(10 * trip)
		node := r.nodes[2]
		node.FlushAll()
		node.ScriptFlush()
		node.Do("SCRIPT", "LOAD", scripts.Extend)
		node.Do("SCRIPT", "LOAD", scripts.Release)
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		passTime(time.Second)
		r.mustHave("a", 0)
	})
}

// A renewal asks for the TTL of the lock, also where more than that is left. Two
// nodes lose the key, one long after the other.
func TestAHealLastsAsLongAsTheLock(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		other := r.manager(Config{})
		lock := r.mustLock(r.Manager, "a", WithAutoRenew())
		if err := lock.ExtendBy(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		r.nodes[2].FlushAll()
		passTime(confirmEvery + time.Second)
		if left, want := r.nodes[2].PTTL("a"), lock.Remaining(); left < want || left > want+time.Minute {
			t.Errorf("the node keeps it for %v, and it is trusted for %v", left, want)
		}
		passTime(20 * time.Second)
		r.nodes[1].FlushAll()
		if theirs, err := other.TryLock(t.Context(), "a"); err == nil {
			t.Errorf("two holders: ours is valid: %v, theirs: %v", lock.Valid(), theirs.Valid())
		}
	})
}
