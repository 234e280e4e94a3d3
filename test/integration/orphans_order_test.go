package integration

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/internal/scripts"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

func TestAReleaseNeverOvertakesItsAcquireOnASlowNode(t *testing.T) {
	for _, clients := range []bool{false, true} {
		t.Run(fmt.Sprintf("through clients of the application %t", clients), func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				resource, proxies := q.Resource(t), q.Proxies(t)
				nodes := q.Nodes
				if clients {
					nodes = clientsOf(t, proxies)
				}
				m := q.New(t, redlock.Config{Nodes: nodes})
				awaitNodes(t, m)
				tardy := &story{of: resource}
				proxies[2].Handle(tardy.tell)
				lock, err := m.TryLock(t.Context(), resource)
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, 5*time.Second, tardy.want("acquire"))
				if err := lock.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(300 * time.Millisecond) // for a release that takes another way
				proxies[2].Release()
				eventually(t, 5*time.Second, tardy.want("acquire", "release"))
				time.Sleep(time.Second)
				wantNoKeys(t, "unlocked", q.Servers, resource)
			})
		})
	}
}

// story is what one node is sent of one resource. The acquire is held up on its
// way, and with it all that comes behind it on its connection.
type story struct {
	of string

	mu   sync.Mutex
	sent []string // guarded by mu
}

func (s *story) tell(m proxy.Message) proxy.Action {
	if m.Direction == proxy.ToClient || !slices.Contains(m.Args, s.of) {
		return proxy.Pass
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if calls(m.Args, scripts.Release) {
		s.sent = append(s.sent, "release")
		return proxy.Pass
	}
	s.sent = append(s.sent, "acquire")
	return proxy.Hold
}

func (s *story) want(sent ...string) func() error {
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !slices.Equal(s.sent, sent) {
			return fmt.Errorf("the tardy node was sent %q, want %q", s.sent, sent)
		}
		return nil
	}
}
