package integration

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
)

func TestAKeyIsTheResourceWithThePrefixInFront(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, prefix := range []string{"", "lock:", "app {1}:"} {
			resource := q.Resource(t)
			m := q.New(t, redlock.Config{KeyPrefix: prefix})
			lock := mustTry(t, m, resource)
			if lock.Resource() != resource {
				t.Errorf("the lock is of %q, want %q", lock.Resource(), resource)
			}
			q.WantEverywhere(t, prefix+resource, lock.Token(), 5*time.Second)
			if prefix != "" {
				q.WantFree(t, resource, 0)
			}
			if err := lock.Extend(t.Context(), time.Minute); err != nil {
				t.Error(err)
			}
			if err := checkLocked(m, resource, true); err != nil {
				t.Errorf("with the prefix %q: %v", prefix, err)
			}
			mustUnlock(t, lock)
			q.WantFree(t, prefix+resource, 5*time.Second)
		}
	})
}

func TestManagersMeetWhereTheirKeysAreTheSame(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		plain := q.New(t, redlock.Config{})
		prefixed := q.New(t, redlock.Config{KeyPrefix: "lock:"})
		lock := mustTry(t, prefixed, resource)
		mustUnlock(t, mustTry(t, plain, resource))
		_, err := plain.TryLock(t.Context(), "lock:"+resource)
		wantMatch(t, err, redlock.ErrTaken)
		_, err = q.New(t, redlock.Config{KeyPrefix: "lock:"}).TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		mustUnlock(t, lock)
	})
}

func TestThePlainAcquireIsTheSetOfEveryRedlockClient(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{TTL: 20 * time.Second}), resource)
		sent := w.about(resource)
		for _, s := range sent {
			if !slices.Equal(s.args, []string{"SET", resource, lock.Token(), "NX", "PX", "20000"}) {
				t.Errorf("node %d was sent %q", s.node, s.args)
			}
		}
		if len(sent) < 2 {
			t.Errorf("%d nodes were asked", len(sent))
		}
		mustUnlock(t, lock)
	})
}

// plainLock is what other clients of the algorithm do on one node.
func plainLock(t testing.TB, client *redis.Client, key, token string) bool {
	t.Helper()
	answer, err := client.Do(t.Context(), "SET", key, token, "NX", "PX", 60000).Result()
	if err != nil && err != redis.Nil {
		t.Fatal(err)
	}
	return answer == "OK"
}

// plainUnlock is the script of the specification.
func plainUnlock(t testing.TB, client *redis.Client, key, token string) bool {
	t.Helper()
	deleted, err := client.Eval(t.Context(), `if redis.call("get",KEYS[1]) == ARGV[1] then
		return redis.call("del",KEYS[1])
	else
		return 0
	end`, []string{key}, token).Int()
	if err != nil {
		t.Fatal(err)
	}
	return deleted == 1
}

func TestOtherClientsOfTheAlgorithmRespectALock(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		for _, s := range q.Servers {
			if plainLock(t, s.Client, resource, "theirs") || plainUnlock(t, s.Client, resource, "theirs") {
				t.Errorf("a plain client could take or release it on %s", s.Addr)
			}
		}
		q.WantEverywhere(t, resource, lock.Token(), 0)
		mustUnlock(t, lock)
		q.WantFree(t, resource, 5*time.Second)
		for _, s := range q.Servers {
			if !plainLock(t, s.Client, resource, "theirs") || !plainUnlock(t, s.Client, resource, "theirs") {
				t.Errorf("a plain client could not take or release it on %s after Unlock", s.Addr)
			}
		}
	})
}

func TestALockOfAnotherClientOfTheAlgorithmIsRespected(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := connected(t, q.New(t, redlock.Config{TTL: time.Minute})), q.Resource(t)
		for _, s := range q.Servers[:2] {
			if !plainLock(t, s.Client, resource, "theirs") {
				t.Fatal("the resource is not free")
			}
		}
		_, err := m.TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		settled(t, m)
		q.WantValues(t, resource, 5*time.Second, "theirs", "theirs", "")
		wantLocked(t, m, resource, true)
		for _, s := range q.Servers[:2] {
			if !plainUnlock(t, s.Client, resource, "theirs") {
				t.Errorf("%s has lost the other client's lock", s.Addr)
			}
		}
		mustUnlock(t, mustTry(t, m, resource))
	})
}

// notes is a log that can be read while it is written.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

func TestWhatALockCarriesStaysHereAndIsShownInTheLog(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		type cargo struct{ Order string }
		var log notes
		w, resource := tap(t, q), q.Resource(t)
		m := q.New(t, redlock.Config{}, redlock.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		carried := &cargo{"order-4711"}
		lock := mustTry(t, m, resource, redlock.WithCarry(carried))
		if lock.Carry() != carried {
			t.Errorf("it carries %v", lock.Carry())
		}
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Error(err)
		}
		q.Take(t, 3, resource, "thief", time.Minute)
		wantMatch(t, lock.Extend(t.Context(), time.Minute), redlock.ErrLost)
		eventually(t, 5*time.Second, func() error {
			if text := log.String(); !strings.Contains(text, carried.Order) || !strings.Contains(text, resource) {
				return fmt.Errorf("the log says %q", text)
			}
			return nil
		})
		wantMatch(t, lock.Unlock(t.Context()), redlock.ErrLost)
		if w.show(carried.Order) {
			t.Error("a node was sent what the lock carries")
		}
		if lock.Carry() != carried {
			t.Errorf("after its end it carries %v", lock.Carry())
		}
		free := mustTry(t, m, resource+" too")
		if free.Carry() != nil {
			t.Errorf("without the option it carries %v", free.Carry())
		}
		mustUnlock(t, free)
	})
}
