package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func mustInspect(t *testing.T, m *Manager, resource string) State {
	t.Helper()
	state, err := m.Inspect(t.Context(), resource)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// onBoth runs f on n nodes that the library connects to, and on n clients of
// the user's.
func onBoth(t *testing.T, n int, f func(t *testing.T, r *rig)) {
	t.Run("own connections", func(t *testing.T) { bubble(t, n, Config{}, f) })
	t.Run("users' clients", func(t *testing.T) { bringYourOwn(t, n, f) })
}

func TestInspectTellsWhoHoldsAResourceByMajorityAndNodeByNode(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.nodes[2].Do("DEL", "a")
		passTime(4 * time.Second)
		state := mustInspect(t, r.Manager, "a")
		if state.Resource != "a" || !state.Locked || state.Token != lock.Token() || state.Owner != r.cfg.Owner ||
			state.Remaining != 6*time.Second || state.Fence != 0 || len(state.Nodes) != 3 {
			t.Errorf("got %+v", state)
		}
		for i, node := range state.Nodes {
			want := NodeState{Token: lock.Token(), Owner: r.cfg.Owner, Remaining: 6 * time.Second}
			if i == 2 {
				want = NodeState{}
			}
			if want.Node = fmt.Sprintf("10.0.0.%d:6379", i+1); node != want {
				t.Errorf("node %d: got %+v", i, node)
			}
		}
	})
}

func TestInspectOfAFreeResourceIsEmpty(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		state := mustInspect(t, r.Manager, "a")
		if state.Locked || state.Token != "" || state.Remaining != 0 || len(state.Nodes) != 3 {
			t.Errorf("got %+v", state)
		}
	})
}

func TestATokenThatACallerChoseHasNoOwner(t *testing.T) {
	for token, want := range map[string]string{
		"job-7":                                "",
		"me@host":                              "",
		"@me":                                  "",
		"0123456789":                           "",
		"0123456789abcdef0123456789abcdef":     "",
		"0123456789abcdef0123456789abcdeg@me":  "",
		"0123456789ABCDEF0123456789abcdef@me":  "",
		"0123456789abcdef0123456789abcdef0@me": "",
		"0123456789abcdef0123456789abcdef@me":  "me",
		"0123456789abcdef0123456789abcdef@a@b": "a@b",
		"0123456789abcdef0123456789abcdef@":    "",
	} {
		if owner, _ := ownerOf(token); owner != want {
			t.Errorf("%q: got %q, want %q", token, owner, want)
		}
	}
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.Manager, "a", WithToken("me@host"))
		if state := mustInspect(t, r.Manager, "a"); state.Token != "me@host" || state.Owner != "" {
			t.Errorf("got %+v", state)
		}
	})
}

func TestWhatRemainsIsWhatAMajorityKeeps(t *testing.T) {
	for _, row := range []struct {
		kept []time.Duration // in milliseconds, see keptFor
		want time.Duration
	}{
		{[]time.Duration{1000, 3000, 2000}, 2000},
		{[]time.Duration{1000, 3000, -1}, 1000},
		{[]time.Duration{1000, 0, 2000}, 2000},
		{[]time.Duration{1000, 0, 0}, -1},
		{[]time.Duration{1000, -1, 0}, 1000},
		{[]time.Duration{5000, 4000, 3000, 2000, 1000}, 3000},
		{[]time.Duration{4000, 3000, 2000, 1000}, 2000},
	} {
		bubble(t, len(row.kept), Config{}, func(t *testing.T, r *rig) {
			kept := slices.Clone(row.kept)
			for i := range kept {
				kept[i] *= time.Millisecond
			}
			keptFor(r, kept...)
			want := row.want * time.Millisecond
			if state := mustInspect(t, r.Manager, "a"); state.Token != "mine" || state.Remaining != max(want, -1) {
				t.Errorf("%v: got %+v", row.kept, state)
			}
		})
	}
}

func TestAnExpiryThatIsFarAwayDoesNotOverflow(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			if c.Name == "EVALSHA" {
				a.Reply = "*2\r\n$4\r\nmine\r\n:9223372036854775807\r\n"
			}
			return a
		})
		if state := mustInspect(t, r.Manager, "a"); state.Remaining != maxTTL {
			t.Errorf("got %v", state.Remaining)
		}
	})
}

func TestAResourceIsLockedWhateverAMajorityKeepsAndItsHolderIsWhomAMajorityNames(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		for i, token := range []string{"one", "another", "a third"} {
			r.nodes[i].Set("a", token, time.Minute)
		}
		state := mustInspect(t, r.Manager, "a")
		if !state.Locked || state.Token != "" || state.Remaining != 0 || state.Nodes[1].Token != "another" {
			t.Errorf("got %+v", state)
		}
		r.nodes[0].Do("DEL", "a")
		r.nodes[1].Do("DEL", "a")
		if state = mustInspect(t, r.Manager, "a"); state.Locked || state.Token != "" {
			t.Errorf("got %+v", state)
		}
	})
}

func TestWhatIsNoLockIsSaidToBeNoneAndDisturbsNothing(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		r.connected()
		before := r.nodes[1].Conns()
		r.nodes[0].Do("RPUSH", "a", "no", "lock")
		r.nodes[1].Set("a", strings.Repeat("x", 200_000), 0)
		r.nodes[2].Set("a", strings.Repeat("y", maxValue-1), 0)
		state := mustInspect(t, r.Manager, "a")
		if !state.Locked || state.Token != "" {
			t.Errorf("got %+v", state)
		}
		for i, want := range []error{errWrongType, errLongValue, nil} {
			if got := state.Nodes[i]; got.Err != want || (got.Token == "") != (want != nil) {
				t.Errorf("node %d: got %+v", i, got)
			}
		}
		if ids := r.nodes[1].Conns(); !slices.Equal(ids, before) {
			t.Errorf("the node had the connections %v, and has %v", before, ids)
		}
		r.mustLock(r.Manager, "b") // nothing is out of step
	})
}

func TestAFenceIsToldFromTheTokenThatItStandsBehind(t *testing.T) {
	for value, want := range map[string]uint64{
		"mine": 0, "mine\x1f7": 7, "mine\x1f9007199254740992": 1 << 53,
		"mine\x1f": 0, "mine\x1fx": 0, "mine\x1f-1": 0, "mine\x1f7\x1f8": 0, "mine\x1f99999999999999999999": 0,
	} {
		if token, fence := splitFence(value); token != "mine" || fence != want {
			t.Errorf("%q: got %q, %d", value, token, fence)
		}
	}
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for i, fence := range []string{"7", "9", "8"} {
			r.nodes[i].Set("a", "mine\x1f"+fence, time.Minute)
		}
		state := mustInspect(t, r.Manager, "a")
		if state.Token != "mine" || state.Fence != 9 || state.Nodes[0].Token != "mine" || state.Remaining != time.Minute {
			t.Errorf("got %+v", state)
		}
	})
}

func TestInspectWithoutAMajorityReturnsWhatItHas(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.Manager, "a", WithToken("mine"))
		r.nodes[0].Kill()
		if state := mustInspect(t, r.Manager, "a"); state.Token != "mine" || state.Nodes[0].Err == nil {
			t.Errorf("with a dead minority: got %+v", state)
		}
		r.nodes[1].Kill()
		passTime(time.Second)
		state, err := r.Inspect(t.Context(), "a")
		var votes *QuorumError
		if !errors.Is(err, ErrNoQuorum) || !errors.As(err, &votes) || votes.Op != "inspect" || votes.Failed != 2 ||
			!contains(err.Error(), "10.0.0.1:6379") {
			t.Errorf("got %v", err)
		}
		if state.Locked || state.Token != "" || state.Nodes[2].Token != "mine" || state.Nodes[1].Err == nil {
			t.Errorf("got %+v", state)
		}
		r.nodes[0].Start()
		r.nodes[1].Start()
	})
}

func TestInspectSaysNotThatAResourceIsFreeWhereASilentNodeCouldKnowBetter(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Set("a", "mine", time.Minute)
		r.nodes[1].Pause()
		start := time.Now()
		state, err := r.Inspect(t.Context(), "a")
		if !errors.Is(err, ErrNoQuorum) || state.Nodes[0].Token != "mine" {
			t.Errorf("got %+v, %v", state, err)
		}
		if took := time.Since(start); took != r.nodeTimeout(r.cfg.TTL) {
			t.Errorf("it took %v", took)
		}
		r.nodes[0].Do("DEL", "a")
		if state := mustInspect(t, r.Manager, "a"); state.Locked || state.Nodes[1].Err == nil {
			t.Errorf("got %+v", state)
		}
		r.nodes[1].Resume()
	})
}

func TestAnAnswerThatComesTooLateChangesNoState(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.Manager, "a", WithToken("mine"))
		r.nodes[1].SetDelay(0, 400*time.Millisecond)
		state := mustInspect(t, r.Manager, "a")
		passTime(time.Second)
		if state.Nodes[1].Token != "" || state.Nodes[1].Err == nil {
			t.Errorf("got %+v", state)
		}
		r.nodes[1].SetDelay(0, 0)
	})
}

// callsOn are the calls of this file and its neighbours, on resource a under the
// token mine.
func callsOn(m *Manager) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"inspect":          func(ctx context.Context) error { _, err := m.Inspect(ctx, "a"); return err },
		"resume":           func(ctx context.Context) error { _, err := m.Resume(ctx, "a", "mine"); return err },
		"force unlock":     func(ctx context.Context) error { return m.ForceUnlock(ctx, "a") },
		"force unlock all": func(ctx context.Context) error { _, err := m.ForceUnlockAll(ctx, "a"); return err },
	}
}

func TestAContextThatHasEndedIsSeenInTheErrorAndAsksNobody(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, call := range callsOn(r.Manager) {
			if err := call(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoQuorum) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if len(r.nodes[0].Conns()) != 0 {
			t.Error("the node was connected to")
		}
	})
}

func TestAContextThatEndsInMidQuestionIsSeenInTheError(t *testing.T) {
	bubble(t, 3, Config{NodeTimeout: 2 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes {
			node.Pause()
		}
		for name, call := range callsOn(r.Manager) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			start := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v", name, err)
			}
			if took := time.Since(start); took != 100*time.Millisecond {
				t.Errorf("%s took %v", name, took)
			}
			cancel()
		}
		for _, node := range r.nodes {
			node.Resume()
		}
	})
}

func TestCloseEndsTheseCallsAndNoneBeginsAfterwards(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		var calls []func(ctx context.Context) error
		for name := range callsOn(r.Manager) {
			m := r.manager(Config{NodeTimeout: 2 * time.Second})
			if err := m.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			r.nodes[0].Pause()
			r.nodes[1].Pause()
			go func() { ended <- callsOn(m)[name](t.Context()) }()
			synctest.Wait()
			start := time.Now()
			go func() { _ = m.Close(t.Context()) }()
			if err := <-ended; err != ErrClosed || time.Since(start) != 0 {
				t.Errorf("%s: got %v after %v", name, err, time.Since(start))
			}
			r.nodes[0].Resume()
			r.nodes[1].Resume()
			passTime(time.Second)
			calls = append(calls, callsOn(m)[name])
		}
		for _, call := range calls {
			if err := call(t.Context()); err != ErrClosed {
				t.Errorf("afterwards: got %v", err)
			}
		}
	})
}

func TestABadResourceIsRefusedBeforeAnythingIsSent(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		for _, resource := range []string{"", strings.Repeat("x", 1025), "redlock:{x}"} {
			_, inspected := r.Inspect(t.Context(), resource)
			_, resumed := r.Resume(t.Context(), resource, "mine")
			for name, err := range map[string]error{
				"inspect": inspected, "resume": resumed, "force unlock": r.ForceUnlock(t.Context(), resource),
			} {
				var config *ConfigError
				if !errors.As(err, &config) || config.Field != "resource" {
					t.Errorf("%s of %.20q: got %v", name, resource, err)
				}
			}
		}
		if len(r.nodes[0].Conns()) != 0 {
			t.Error("the node was connected to")
		}
	})
}

func TestANodeThatMayNotLookIsNamedWithItsSetting(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].Deny("getrange")
		r.nodes[0].Set("a", "mine", 0)
		state, err := r.Inspect(t.Context(), "a")
		var config *ConfigError
		if !errors.Is(err, ErrNoQuorum) || !errors.As(err, &config) || config.Field != "nodes[0]" {
			t.Errorf("got %v", err)
		}
		if !errors.As(state.Nodes[0].Err, &config) {
			t.Errorf("got %+v", state)
		}
	})
}

func TestAnAnswerThatIsNoSightingEndsTheConnection(t *testing.T) {
	for _, reply := range []string{
		":1\r\n", "$4\r\nmine\r\n", "*-1\r\n", "*1\r\n$4\r\nmine\r\n", "*2\r\n$4\r\nmine\r\n$1\r\n5\r\n",
		"*2\r\n$4\r\nmine\r\n:-2\r\n", "*2\r\n$-1\r\n:5\r\n", "*2\r\n:5\r\n:5\r\n", "+OK\r\n",
		"*2\r\n$1025\r\n" + strings.Repeat("x", 1025) + "\r\n:5\r\n",
	} {
		bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
			r.connected()
			before := r.nodes[0].Conns()[0]
			r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
				if c.Name == "EVALSHA" {
					a.Reply = reply
				}
				return a
			})
			if _, err := r.Inspect(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
				t.Errorf("%.40q: got %v", reply, err)
			}
			passTime(time.Second)
			if ids := r.nodes[0].Conns(); len(ids) != 1 || ids[0] == before {
				t.Errorf("%.40q: the connection goes on", reply)
			}
		})
	}
}

func TestNoFormOfAStateShowsATokenAndEveryFormShowsWhereItIs(t *testing.T) {
	bubble(t, 3, Config{Owner: "worker"}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.nodes[0].Kill()
		passTime(time.Second)
		state := mustInspect(t, r.Manager, "a")
		random, _, _ := strings.Cut(lock.Token(), "@")
		node := state.Nodes[1]
		mustHide(t, []string{random, random[8:], lock.Token()}, state, &state, []State{state}, []*State{&state},
			map[string]State{"a": state}, struct{ S State }{state}, struct{ S *State }{&state},
			node, &node, state.Nodes, []*NodeState{&node}, struct{ N NodeState }{node})
		for form, text := range printings(t, state) {
			switch form {
			case "%x", "%d", "%q", "%s", "%10v": // not what anybody reads a State by
				continue
			}
			for _, part := range []string{random[:8] + "...", "worker", "10.0.0.1:6379"} {
				if strings.Count(text, part) < 1 {
					t.Errorf("%s does not show %q: %s", form, part, text)
				}
			}
			// Once of a majority, and once of each node that has it; slog's two
			// handlers write it both.
			want := 3
			if form == "slog" {
				want = 6
			}
			if got := strings.Count(text, random[:8]+"..."); got != want {
				t.Errorf("%s shows the token %d times, not %d: %s", form, got, want, text)
			}
		}
		for _, form := range []string{"%v", "%+v", "json"} {
			if text := printings(t, state)[form]; !contains(text, state.Nodes[0].Err.Error()) {
				t.Errorf("%s does not show the error of a node: %s", form, text)
			}
		}
		r.nodes[0].Start()
	})
}
