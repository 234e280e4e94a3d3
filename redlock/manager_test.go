package redlock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBadInputIsAConfigErrorThatNamesTheFieldAndSendsNothing(t *testing.T) {
	bubble(t, 1, Config{Margin: time.Second}, func(t *testing.T, r *rig) {
		lock := func(resource string, opts ...LockOption) error {
			_, err := r.TryLock(t.Context(), resource, opts...)
			return err
		}
		for name, row := range map[string]struct {
			err   error
			field string
		}{
			"an empty resource":            {lock(""), "resource"},
			"a long resource":              {lock(strings.Repeat("a", 1025)), "resource"},
			"the library's own keys":       {lock("redlock:{fence}"), "resource"},
			"a negative TTL":               {lock("a", WithTTL(-1)), "ttl"},
			"a TTL below drift and margin": {lock("a", WithTTL(time.Second)), "ttl"},
			"a TTL above a century":        {lock("a", WithTTL(math.MaxInt64/1e6*1e6)), "ttl"},
			"a TTL without expiry":         {lock("a", WithTTL(5*time.Second), WithNoExpiry()), "ttl"},
			"max hold without expiry":      {lock("a", WithMaxHold(5*time.Second), WithNoExpiry()), "WithMaxHold"},
			"renewal without expiry":       {lock("a", WithAutoRenew(), WithNoExpiry()), "auto_renew"},
			"a negative max hold":          {lock("a", WithMaxHold(-1)), "WithMaxHold"},
			"negative attempts":            {lock("a", WithAttempts(-1)), "attempts"},
			"no pause function":            {lock("a", WithBackoff(nil)), "WithBackoff"},
			"an empty token":               {lock("a", WithToken("")), "token"},
			"a long token":                 {lock("a", WithToken(strings.Repeat("a", 513))), "token"},
			"a control character":          {lock("a", WithToken("a\x1fb")), "token"},
			"a nil option":                 {lock("a", WithTTL(5*time.Second), nil), "opts[1]"},
			"a fence":                      {lock("a", WithFence()), "WithFence"},
		} {
			var config *ConfigError
			if !errors.As(row.err, &config) || config.Field != row.field || len(config.Msg) < 10 {
				t.Errorf("%s: got %v", name, row.err)
			}
		}
		if _, err := r.IsLocked(t.Context(), ""); !errors.As(err, new(*ConfigError)) {
			t.Errorf("got %v", err)
		}
		if _, err := r.Lock(t.Context(), strings.Repeat("a", 1024)); err != nil {
			t.Errorf("1 KiB is allowed: %v", err)
		}
		if got := r.nodes[0].Executed("SET"); got != 1 {
			t.Errorf("%d acquires were sent", got)
		}
	})
}

func TestAfterCloseEveryCallReturnsErrClosed(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("the second Close got %v", err)
		}
		if lock.Valid() || !errors.Is(lock.Err(), ErrReleased) {
			t.Errorf("the lock's Err is %v", lock.Err())
		}
		r.mustHave("a", 0)
		_, locked := r.IsLocked(t.Context(), "a")
		_, tried := r.TryLock(t.Context(), "a")
		_, waited := r.Lock(t.Context(), "a")
		_, held := lock.IsHeld(t.Context())
		for name, err := range map[string]error{
			"IsLocked": locked, "TryLock": tried, "Lock": waited, "IsHeld": held,
			"Extend": lock.Extend(t.Context(), 0), "ExtendBy": lock.ExtendBy(t.Context(), 1),
			"Unlock": lock.Unlock(t.Context()), "Ping": r.Ping(t.Context()),
			"Do": r.Do(t.Context(), "a", func(context.Context, *Lock) error { return nil }),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		for _, node := range r.nodes {
			if len(node.Conns()) != 0 {
				t.Error("a connection is left")
			}
		}
	})
}

func TestCallsInProgressReturnErrClosedAndLeaveNoKey(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes[:2] {
			node.SetDelay(0, 50*time.Millisecond)
		}
		r.nodes[0].Set("taken", "somebody", 0)
		r.nodes[1].Set("taken", "somebody", 0)
		results := make(chan error, 3)
		go func() { _, err := r.TryLock(context.Background(), "a"); results <- err }()
		go func() { _, err := r.Lock(context.Background(), "taken"); results <- err }()
		go func() {
			results <- r.Do(context.Background(), "b", func(ctx context.Context, _ *Lock) error { <-ctx.Done(); return nil })
		}()
		passTime(20 * time.Millisecond)
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-results; !errors.Is(err, ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
		r.mustHave("a", 0)
		r.mustHave("b", 0)
	})
}

func TestALockThatExpiresWhileItsManagerClosesLeavesNoKey(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		shut := r.shut
		r.shut = func() { // Close has begun, and has released nothing yet
			lock.mu.Lock()
			lock.until = time.Now()
			lock.mu.Unlock()
			if lock.Valid() {
				t.Error("it is valid")
			}
			shut()
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		r.mustHave("a", 0)
	})
}

func TestASecondCloseWaitsForTheFirst(t *testing.T) {
	bubble(t, 1, Config{TTL: 4 * time.Second}, func(t *testing.T, r *rig) {
		r.mustLock(r.Manager, "a")
		r.nodes[0].Pause()
		start := time.Now()
		first := make(chan error, 1)
		go func() { first <- r.Close(context.Background()) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Close(short); err != nil || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if err := r.Close(t.Context()); err != nil || time.Since(start) < 4*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		r.nodes[0].Resume()
	})
}

func TestNoTokenIsShownInFull(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		token := "correct-horse-battery-staple"
		lock := r.mustLock(r.Manager, "a", WithToken(token))
		state := State{Resource: "a", Token: token, Nodes: []NodeState{{Node: "n", Token: token, Err: errWork}}}
		r.nodes[0].FailWith("EVALSHA", "-ERR unknown command 'EVALSHA', with args beginning with: '"+token+"'")
		r.nodes[1].FailWith("EVALSHA", "-ERR unknown command 'EVALSHA', with args beginning with: '"+token+"'")
		failed := lock.Extend(t.Context(), 0)
		r.nodes[0].FailWith("EVALSHA", "")
		r.nodes[1].FailWith("EVALSHA", "")
		for _, value := range []any{
			lock, []*Lock{lock}, r.Manager, []*Manager{r.Manager},
			reflect.ValueOf(lock).Elem().Interface(), // by value, which go vet refuses
			state, &state, []State{state}, state.Nodes, &state.Nodes[0], failed,
		} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s"} {
				if text := fmt.Sprintf(verb, value); strings.Contains(text, token) {
					t.Errorf("%T with %s: %s", value, verb, text)
				}
			}
			if text, err := json.Marshal(value); strings.Contains(string(text), token) || err != nil {
				t.Errorf("%T: %s, %v", value, text, err)
			}
		}
		if text := fmt.Sprint(lock); !strings.Contains(text, `"a"`) {
			t.Errorf("it does not say which lock: %s", text)
		}
		if text, _ := json.Marshal(state); !strings.Contains(string(text), errWork.Error()) {
			t.Errorf("the node's error is lost: %s", text)
		}
	})
}

func TestADeadNodeIsLoggedWhenItsStateChangesAndNotPerCall(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Kill()
		for range 60 {
			lock := r.mustLock(r.Manager, "a", WithCarry("order 7"))
			if err := lock.Unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
			passTime(time.Second)
		}
		r.nodes[0].Start()
		passTime(time.Second)
		if lines := strings.Count(log.String(), "\n"); lines != 2 {
			t.Errorf("%d lines:\n%s", lines, log.String())
		}
		r.mustLock(r.Manager, "a", WithCarry("order 7"))
		passTime(time.Second)
		if !strings.Contains(log.String(), "order 7") {
			t.Errorf("a lost lock does not show what it carries:\n%s", log.String())
		}
	}, WithLogger(logger))
}

func TestHeldListsTheLocksThatAreValid(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		expired, released := r.mustLock(r.Manager, "a"), r.mustLock(r.Manager, "b")
		held := r.mustLock(r.Manager, "c", WithTTL(time.Minute))
		if got := len(r.Held()); got != 3 {
			t.Errorf("%d are held", got)
		}
		_ = released.Unlock(t.Context())
		passTime(time.Second)
		if got := r.Held(); len(got) != 1 || got[0] != held || expired.Valid() {
			t.Errorf("got %v", got)
		}
	})
}

func TestAttemptsAndPausesAreWhatTheCallerSays(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.manager(Config{}), "a", WithTTL(time.Hour))
		var pauses []int
		start := time.Now()
		_, err := r.Lock(t.Context(), "a", WithAttempts(5), WithBackoff(func(attempt int) time.Duration {
			pauses = append(pauses, attempt)
			return time.Second
		}))
		// The first pause ends as soon as releases are listened for.
		if !errors.Is(err, ErrTaken) || fmt.Sprint(pauses) != "[1 2 3 4]" || time.Since(start) != 3*time.Second {
			t.Errorf("got %v, pauses %v, after %v", err, pauses, time.Since(start))
		}
		if _, err := r.Lock(t.Context(), "a", WithAttempts(1)); !errors.Is(err, ErrTaken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheDefaultPausesAreFastThenGrowAndAreCapped(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		for attempt, grown := range map[int]time.Duration{1: 0, 3: 0, 4: 200, 5: 400, 8: 1000, 9: 1000, 1000: 1000} {
			for range 100 {
				got := r.backoff(attempt) - grown*time.Millisecond
				if got < 100*time.Millisecond || got > 300*time.Millisecond {
					t.Errorf("pause %d is %v", attempt, got+grown*time.Millisecond)
				}
			}
		}
	})
}

func TestACallWhoseContextHasEndedSaysSo(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.manager(Config{}), "taken", WithTTL(time.Hour))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, lock := range []func(context.Context, string, ...LockOption) (*Lock, error){r.Lock, r.TryLock} {
			_, err := lock(ended, "a")
			if !errors.Is(err, context.Canceled) || errors.Is(err, ErrTaken) || errors.Is(err, ErrNoQuorum) {
				t.Errorf("got %v", err)
			}
		}
		for _, node := range r.nodes {
			node.SetDelay(20*time.Millisecond, 0)
		}
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := r.TryLock(short, "a"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		long, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := r.Lock(long, "taken"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTaken) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
