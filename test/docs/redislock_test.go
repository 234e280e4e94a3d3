package docs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bsm/redislock"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// A program that keeps its locks on one server with bsm/redislock can be changed
// while others still do.
func TestRedislockAndThisLibraryExcludeEachOtherOnOneNode(t *testing.T) {
	for _, kind := range servers.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := servers.Start(t, kind, servers.Options{})
			m, err := redlock.New(redlock.Config{
				Nodes: []redlock.Node{redlock.Addr("127.0.0.1", server.Port)}, TTL: time.Minute, NodeTimeout: 5 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = m.Close(t.Context()) })
			locker := redislock.New(server.Client)

			ours, err := m.TryLock(t.Context(), "report")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := locker.Obtain(t.Context(), "report", time.Minute, nil); !errors.Is(err, redislock.ErrNotObtained) {
				t.Errorf("while we hold the lock redislock got %v", err)
			}
			if err := ours.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			theirs, err := locker.Obtain(t.Context(), "report", time.Minute, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrTaken) {
				t.Errorf("while redislock holds the lock we got %v", err)
			}
			if err := m.Ping(t.Context()); err != nil { // all that was sent before has been answered
				t.Error(err)
			}
			if err := theirs.Release(t.Context()); err != nil {
				t.Errorf("redislock has lost its lock: %v", err)
			}
			if _, err := m.TryLock(t.Context(), "report"); err != nil {
				t.Errorf("after it was released: %v", err)
			}
		})
	}
}
