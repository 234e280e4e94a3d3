package redlock

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// heard is what hooks were told, one word and a name each.
type heard struct {
	mu     sync.Mutex
	events []string
	locks  map[string]LockEvent // the last one of each kind
	nodes  map[string]NodeEvent
}

func (o *heard) hooks() Hooks {
	o.locks, o.nodes = make(map[string]LockEvent), make(map[string]NodeEvent)
	lock := func(kind string) func(LockEvent) {
		return func(e LockEvent) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.events = append(o.events, kind+" "+e.Resource)
			o.locks[kind] = e
		}
	}
	node := func(kind string) func(NodeEvent) {
		return func(e NodeEvent) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.events = append(o.events, kind+" "+e.Node)
			o.nodes[kind] = e
		}
	}
	return Hooks{
		Acquired: lock("acquired"), Refused: lock("refused"), Waited: lock("waited"), Extended: lock("extended"),
		Released: lock("released"), Renewed: lock("renewed"), Lost: lock("lost"),
		NodeUp: node("up"), NodeDown: node("down"),
	}
}

// since returns what was told since the last call, when all have been told.
func (o *heard) since() []string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	events := o.events
	o.events = nil
	return events
}

func (o *heard) want(t *testing.T, events ...string) {
	t.Helper()
	if got := o.since(); !slices.Equal(got, events) {
		t.Errorf("told were %q, want %q", got, events)
	}
}

func TestHooksAreToldOfEachCallOnceWithItsDurationAndError(t *testing.T) {
	var o heard
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.slowDown()
		o.want(t, "up 10.0.0.1:6379")
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "of the call")
		lock, err := r.TryLock(ctx, "a", WithCarry("mine"))
		if err != nil {
			t.Fatal(err)
		}
		o.want(t, "acquired a")
		e := o.locks["acquired"]
		if e.Context.Value(key{}) == nil || e.Carry != "mine" || e.Duration != trip || e.Held != 0 || e.Err != nil {
			t.Errorf("told was %+v", e)
		}
		_, err = r.TryLock(ctx, "a")
		o.want(t, "refused a")
		if e := o.locks["refused"]; !errors.Is(e.Err, ErrTaken) || e.Err != err || e.Duration != trip {
			t.Errorf("told was %+v", e)
		}
		passTime(time.Second)
		_ = lock.Extend(ctx, 0)
		_ = lock.ExtendBy(ctx, time.Second)
		o.want(t, "extended a", "extended a")
		if e := o.locks["extended"]; e.Duration != trip || e.Held != time.Second+4*trip || e.Carry != "mine" || e.Err != nil {
			t.Errorf("told was %+v", e)
		}
		_ = lock.Unlock(ctx)
		_ = lock.Unlock(ctx)
		o.want(t, "released a")
		if e := o.locks["released"]; e.Duration != trip || e.Held != time.Second+5*trip || e.Err != nil {
			t.Errorf("told was %+v", e)
		}
		_ = r.Do(ctx, "b", func(context.Context, *Lock) error { o.want(t, "acquired b"); return nil })
		o.want(t, "released b")
		other := r.mustLock(r.manager(Config{}), "c")
		if _, err := r.Resume(ctx, "c", other.Token()); err != nil {
			t.Fatal(err)
		}
		o.want(t, "acquired c")
	}, WithHooks(o.hooks()))
}

func TestHooksAreNotToldOfBadArgumentsAndClosedManagers(t *testing.T) {
	var o heard
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		o.since()
		_, _ = r.TryLock(t.Context(), "")
		_, _ = r.Lock(t.Context(), "a", nil)
		_ = r.Do(t.Context(), "a", nil)
		_, _ = r.Resume(t.Context(), "a", "")
		_ = lock.Extend(t.Context(), -1)
		_ = lock.ExtendBy(t.Context(), 0)
		_ = r.Extend(t.Context(), nil, 0)
		_ = r.Unlock(t.Context(), nil)
		o.want(t)
		_ = r.Close(t.Context())
		o.want(t, "released a")
		_, _ = r.TryLock(t.Context(), "a")
		_ = lock.Unlock(t.Context())
		o.want(t)
	}, WithHooks(o.hooks()))
}

func TestAWaiterIsReportedAsOneAndThenByItsOutcome(t *testing.T) {
	var o heard
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		held := r.mustLock(r.manager(Config{}), "a")
		won := waitFor(t, r.Manager, "a")
		passTime(time.Second)
		_ = held.Unlock(t.Context())
		lock := <-won
		synctest.Wait()
		if got := o.since(); !slices.Equal(got[len(got)-2:], []string{"waited a", "acquired a"}) {
			t.Errorf("told were %q", got)
		}
		waited, acquired := o.locks["waited"], o.locks["acquired"]
		if waited.Duration < time.Second || waited.Duration != acquired.Duration || waited.Err != nil {
			t.Errorf("told was %+v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.Lock(ctx, "a")
		o.want(t, "waited a", "refused a")
		if got := o.locks["waited"].Err; got != err || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("told was %v of %v", got, err)
		}
		_ = lock.Unlock(t.Context())
		o.since()
		if _, err = r.Lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		o.want(t, "acquired a")
	}, WithHooks(o.hooks()))
}

func TestRenewalsAndLossesAreReported(t *testing.T) {
	var o heard
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		r.slowDown()
		lock := r.mustLock(r.Manager, "a", WithAutoRenew(), WithCarry("mine"))
		short := r.mustLock(r.Manager, "b")
		o.since()
		passTime(4 * time.Second)
		events := o.since()
		renewed := 0
		for _, e := range events {
			if e == "renewed a" {
				renewed++
			}
		}
		e := o.locks["renewed"]
		if renewed < 3 || e.Duration != trip || e.Held < 2*time.Second || e.Carry != "mine" || e.Err != nil {
			t.Errorf("%d renewals were told, the last as %+v", renewed, e)
		}
		if len(events) != renewed+1 || !slices.Contains(events, "lost b") || !errors.Is(o.locks["lost"].Err, ErrExpired) {
			t.Errorf("told were %q", events)
		}
		if held := o.locks["lost"].Held; held < 2*time.Second || held > 3*time.Second {
			t.Errorf("it was held for %v", held)
		}
		_ = short.Unlock(t.Context())
		o.want(t)
		r.nodes[0].Kill()
		r.nodes[1].Kill()
		passTime(3 * time.Second)
		<-lock.Done()
		events = o.since()
		e = o.locks["renewed"]
		if !errors.Is(e.Err, ErrNoQuorum) || !strings.HasPrefix(e.Err.Error(), `redlock: renew "a": `) {
			t.Errorf("told was %v", e.Err)
		}
		if events[len(events)-1] != "lost a" && !slices.Contains(events, "lost a") {
			t.Errorf("told were %q", events)
		}
	}, WithHooks(o.hooks()))
}

func TestANodeThatGoesAndComesIsReportedOnceEachWithTheTimeBetween(t *testing.T) {
	var o heard
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		o.want(t, "up 10.0.0.1:6379")
		if e := o.nodes["up"]; e.Duration != 0 || e.Err != nil {
			t.Errorf("told was %+v", e)
		}
		passTime(time.Minute)
		r.nodes[0].Kill()
		passTime(time.Minute)
		o.want(t, "down 10.0.0.1:6379")
		if e := o.nodes["down"]; e.Duration < time.Minute || e.Err == nil {
			t.Errorf("told was %+v", e)
		}
		r.nodes[0].Start()
		passTime(2 * time.Second)
		o.want(t, "up 10.0.0.1:6379")
		if e := o.nodes["up"]; e.Duration < time.Minute-2*time.Second || e.Err != nil {
			t.Errorf("told was %+v", e)
		}
		r.nodes[0].KillClients() // it is connected again at once
		passTime(2 * time.Second)
		o.want(t)
	}, WithHooks(o.hooks()))
}

func TestEachLockThatWasAcquiredEndsOnceAsReleasedOrLost(t *testing.T) {
	var o heard
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		unlocked := r.mustLock(r.Manager, "unlocked")
		_ = r.mustLock(r.Manager, "expired", WithTTL(time.Second))
		stolen := r.mustLock(r.Manager, "stolen")
		_ = r.mustLock(r.Manager, "taken again")
		_ = r.mustLock(r.Manager, "closed")
		undecided := r.mustLock(r.Manager, "undecided")
		for _, n := range r.nodes {
			n.Do("DEL", "stolen")
			n.Do("DEL", "taken again")
		}
		_ = r.mustLock(r.Manager, "taken again")
		_ = stolen.Extend(t.Context(), 0)
		passTime(2 * time.Second)
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { _ = unlocked.Unlock(t.Context()) })
		}
		calls.Wait()
		r.nodes[0].Stall(true)
		r.nodes[1].Stall(true)
		if err := undecided.Unlock(t.Context()); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		r.nodes[0].Stall(false)
		r.nodes[1].Stall(false)
		passTime(time.Second)
		_ = undecided.Unlock(t.Context())
		_ = r.Close(t.Context())
		acquired, ended := make(map[string]int), make(map[string]int)
		for _, event := range o.since() {
			kind, resource, _ := strings.Cut(event, " ")
			switch kind {
			case "acquired":
				acquired[resource]++
			case "released", "lost":
				ended[resource]++
			}
		}
		for resource, n := range acquired {
			if ended[resource] != n {
				t.Errorf("%q was acquired %d times, and ended %d times", resource, n, ended[resource])
			}
		}
		if len(acquired) != 6 || acquired["taken again"] != 2 {
			t.Errorf("acquired were %v", acquired)
		}
	}, WithHooks(o.hooks()))
}

func TestAHookMayUseTheManagerAndCloseIt(t *testing.T) {
	var r *rig
	var errs []error
	bubble(t, 3, Config{}, func(t *testing.T, rig *rig) {
		r = rig
		if _, err := r.TryLock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if len(errs) != 3 || errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], ErrClosed) {
			t.Errorf("got %v", errs)
		}
	}, WithHooks(Hooks{Acquired: func(e LockEvent) {
		if e.Resource == "b" {
			return
		}
		lock, err := r.TryLock(context.Background(), "b")
		errs = append(errs, err, r.Close(context.Background()), lock.Extend(context.Background(), 0))
	}}))
}

func TestAHookThatBlocksHoldsUpNeitherOtherCallsNorRenewalsNorNodes(t *testing.T) {
	var release chan struct{} // made in the bubble
	var renewed, acquired int
	hooks := Hooks{
		Acquired: func(e LockEvent) {
			if acquired++; e.Resource == "blocks" {
				<-release
			}
		},
		Renewed: func(LockEvent) { renewed++; <-release },
	}
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		release = make(chan struct{})
		go func() { _, _ = r.TryLock(t.Context(), "blocks") }()
		synctest.Wait()
		var locks []*Lock
		for _, resource := range []string{"a", "b"} {
			locks = append(locks, r.mustLock(r.Manager, resource, WithAutoRenew()))
		}
		passTime(10 * time.Minute)
		if acquired != 3 || renewed != 1 {
			t.Fatalf("%d were acquired, %d renewals were told", acquired, renewed)
		}
		for _, n := range r.nodes { // the one that takes the majority away comes back first
			n.Kill()
			passTime(time.Second / 2)
			n.Start()
			passTime(2 * time.Second)
		}
		for _, lock := range locks {
			if err := lock.Err(); err != nil {
				t.Errorf("%s: %v", lock.Resource(), err)
			}
		}
		close(release)
		synctest.Wait()
		if renewed != 1+maxEvents {
			t.Errorf("%d renewals were told; the first, and the %d that may wait, were expected", renewed, maxEvents)
		}
	}, WithHooks(hooks))
}

func TestCloseWaitsForAHookWhileItsCtxLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRig(t, 1, Config{}, WithHooks(Hooks{Lost: func(LockEvent) { <-release }}))
		r.mustLock(r.Manager, "a", WithTTL(time.Second))
		passTime(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		err := r.Close(ctx)
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != time.Minute+grace {
			t.Errorf("got %v after %v", err, took)
		}
		close(release)
	})
}

func TestALockWhoseHookPanicsIsGivenBack(t *testing.T) {
	for name, hooks := range map[string]Hooks{
		"acquired": {Acquired: func(LockEvent) { panic("in the hook") }},
		"waited":   {Waited: func(LockEvent) { panic("in the hook") }},
	} {
		t.Run(name, func(t *testing.T) {
			var o heard
			hooks.Released = o.hooks().Released
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				held := r.mustLock(r.manager(Config{}), "a", WithTTL(time.Second))
				defer func() {
					if recover() != "in the hook" {
						t.Error("the panic has not come up in the caller")
					}
					synctest.Wait()
					r.mustHave("a", 0)
					if locks := r.Held(); len(locks) != 0 {
						t.Errorf("held are %v", locks)
					}
					o.want(t, "released a")
				}()
				_, err := r.Lock(t.Context(), "a", WithNoExpiry())
				t.Errorf("returned with %v; the other holder has said %v", err, held.Err())
			}, WithHooks(hooks))
		})
	}
}

// In a process of its own, as it ends it.
func TestAHookThatPanicsInTheManagersGoroutineEndsTheProcess(t *testing.T) {
	if os.Getenv("REDLOCK_PANIC") != "" {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 1, Config{}, WithHooks(Hooks{Lost: func(LockEvent) { panic("in the hook") }}))
			r.mustLock(r.Manager, "a", WithTTL(time.Second))
			passTime(2 * time.Second)
		})
		return
	}
	t.Parallel()
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	run.Env = append(os.Environ(), "REDLOCK_PANIC=1")
	out, err := run.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: in the hook") {
		t.Errorf("got %v and\n%s", err, out)
	}
}

func TestWithoutHooksNothingIsAllocatedForThem(t *testing.T) {
	m, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	o := &lockOptions{begun: time.Now(), waited: true}
	l := &Lock{m: m}
	n := &node{m: m}
	if made := testing.AllocsPerRun(100, func() {
		m.tellTaken(t.Context(), o, l, nil)
		l.tellExtended(t.Context(), o.begun, nil)
		l.tellReleased(t.Context(), o.begun, nil)
		l.tellClosed()
		(&renewal{lock: l}).tell(nil, tally{})
		n.report(true, nil)
	}); made > 0 {
		t.Errorf("%v allocations", made)
	}
}
