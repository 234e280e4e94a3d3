package integration

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

const (
	callers = 1024

	// calm is how long a caller pauses between two calls, on average: all of them
	// make 200 calls a second.
	calm = 5 * time.Second

	// owedAtMost is how many acquires a node may owe a release for. As many commands
	// may wait for it, and on a new connection the releases come first: when enough
	// calls have been made, in some 50 seconds, nearly all of that is used up, and
	// few of the calls that follow are sent to it.
	owedAtMost = 8192
	enough     = owedAtMost * 5 / 4

	// span is how long a silent connection is borne. The node is silent for two of
	// them more.
	span = 4 * patience

	// A manager has three goroutines for a connection, and some for a while when
	// one ends. Here five nodes have one each.
	ownGoroutines = 64

	// Some 3 kB stay of each call until its release is confirmed, and a node may owe
	// 8,192 of these: 30 MB were measured then, with what the proxy keeps.
	ownHeap = 48 << 20

	// What tests of the same process that run at the same time may need meanwhile.
	othersHeap = 64 << 20
)

// The node answers whoever connects, takes every command, and answers none: more
// work is left of it than of one that is away.
func TestANodeThatAnswersNothingCostsNoMemoryAndNoTime(t *testing.T) {
	t.Parallel()
	inTurn(t, func(t *testing.T, kind servers.Kind) { // three at once would measure each other's heap
		q := quorumOf(kind, servers.StartN(t, kind, 5, servers.Options{}))
		silent := proxy.Start(t, q.Servers[4].Addr)
		q.Nodes[4] = redlock.Addr("127.0.0.1", silent.Port)
		goroutines := countGoroutines(t)
		before := heap()
		m := q.New(t, redlock.Config{NodeTimeout: patience, TTL: lasting.TTL})
		awaitNodes(t, m)
		silent.Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToClient && (m.Name == "SET" || m.Name == "EVALSHA") {
				return proxy.Silence
			}
			return proxy.Pass
		})
		c := startCrowd(t, q, m)
		eventually(t, 2*time.Minute, func() error {
			if n := c.calls(); n < enough {
				return fmt.Errorf("%d calls were made", n)
			}
			return nil
		})
		then := leastHeap(span)
		calls, acquires := c.calls(), silent.Count("SET")
		later := leastHeap(span)
		calls, more := c.calls()-calls, silent.Count("SET")-acquires
		if acquires+more > owedAtMost || more > calls/4 {
			t.Errorf("it was sent %d acquires, and then %d of %d more; it may owe %d", acquires, more, calls, owedAtMost)
		}
		t.Logf("%d acquires, then %d of %d more; the heap has grown by %d kB, and then by %d kB",
			acquires, more, calls, (then-before)>>10, (later-then)>>10)
		if n := goroutines(); n > callers+ownGoroutines {
			t.Errorf("%d goroutines run, for %d callers", n, callers)
		}
		if used := later - before; used > ownHeap+othersHeap {
			t.Errorf("the heap has grown by %d MB", used>>20)
		}
		c.stop(t)
		silent.Handle(nil)
		silent.Reset()
		wantReaped(t, "after the silence", q.Servers, c.resources...)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		eventually(t, 5*time.Second, func() error {
			if n := goroutines(); n > 0 {
				return fmt.Errorf("%d goroutines run after Close", n)
			}
			return nil
		})
	})
}

// heap is what is reachable, in bytes.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// leastHeap is the least that is reachable during d.
func leastHeap(d time.Duration) int64 {
	least := heap()
	for begun := time.Now(); time.Since(begun) < d; time.Sleep(time.Second) {
		least = min(least, heap())
	}
	return least
}

// crowd are callers that take and give back a lock each, again and again.
type crowd struct {
	resources []string
	end       chan struct{} // closed by stop
	done      sync.WaitGroup

	mu   sync.Mutex
	took []time.Duration // by each call that is over; guarded by mu
}

func startCrowd(t *testing.T, q *Quorum, m *redlock.Manager) *crowd {
	t.Helper()
	c := &crowd{end: make(chan struct{})}
	for range callers {
		resource := q.Resource(t)
		c.resources = append(c.resources, resource)
		c.done.Go(func() { c.lock(t, m, resource) })
	}
	return c
}

func (c *crowd) lock(t *testing.T, m *redlock.Manager, resource string) {
	for {
		select {
		case <-c.end:
			return
		case <-time.After(rand.N(2 * calm)):
		}
		begun := time.Now()
		lock, err := m.TryLock(t.Context(), resource)
		if err == nil {
			err = lock.Unlock(t.Context())
		}
		if err != nil {
			t.Errorf("the other nodes are a majority: %v", err)
		}
		c.mu.Lock()
		c.took = append(c.took, time.Since(begun))
		c.mu.Unlock()
	}
}

// calls is how many calls are over.
func (c *crowd) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.took)
}

// stop ends the callers. It fails where they had to wait for the silent node: a
// call would have taken its node timeout.
func (c *crowd) stop(t *testing.T) {
	t.Helper()
	close(c.end)
	c.done.Wait()
	slices.Sort(c.took)
	median := c.took[len(c.took)/2]
	if len(c.took) < 4*callers || median > time.Second {
		t.Errorf("%d calls were made; half of them took %v or more", len(c.took), median)
	}
}
