package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// wound is what happens to the first message of a kind on two of three nodes.
type wound struct {
	name      string
	direction proxy.Direction
	command   string
	action    proxy.Action
}

var wounds = []wound{
	{"cut before the SET", proxy.ToServer, "SET", proxy.Reset},
	{"cut in the middle of the SET", proxy.ToServer, "SET", proxy.Cut(20)},
	{"cut behind the SET", proxy.ToServer, "SET", proxy.Cut(1 << 20)},
	{"cut before the reply to the SET", proxy.ToClient, "SET", proxy.Reset},
	{"cut in the middle of the reply to the SET", proxy.ToClient, "SET", proxy.Cut(2)},
	{"stalled before the SET", proxy.ToServer, "SET", proxy.Silence},
	{"stalled before the reply to the SET", proxy.ToClient, "SET", proxy.Silence},
	{"cut before the release", proxy.ToServer, "EVALSHA", proxy.Reset},
	{"cut in the middle of the release", proxy.ToServer, "EVALSHA", proxy.Cut(30)},
	{"cut behind the release", proxy.ToServer, "EVALSHA", proxy.Cut(1 << 20)},
	{"cut before the reply to the release", proxy.ToClient, "EVALSHA", proxy.Reset},
	{"stalled before the release", proxy.ToServer, "EVALSHA", proxy.Silence},
	{"stalled before the reply to the release", proxy.ToClient, "EVALSHA", proxy.Silence},
}

// A stalled connection is given up when its oldest command is a second old.
func TestAConnectionThatIsCutOrStallsBetweenAcquireAndReleaseLeavesNoKey(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		var resources []string
		for _, w := range wounds {
			resource, proxies := q.Resource(t), q.Proxies(t)
			resources = append(resources, resource)
			m := q.New(t, redlock.Config{NodeTimeout: 250 * time.Millisecond, TTL: lasting.TTL})
			awaitNodes(t, m)
			happened := make(chan struct{}, 2)
			for _, p := range proxies[:2] {
				p.Handle(once(w, happened))
			}
			// Whether it is won, and whether the release is confirmed, depends on the case.
			if lock, err := m.TryLock(t.Context(), resource); err == nil {
				_ = lock.Unlock(t.Context())
			}
			for range 2 {
				select {
				case <-happened:
				case <-time.After(5 * time.Second):
					t.Fatalf("%s: it has not happened", w.name)
				}
			}
		}
		time.Sleep(time.Second + reaped)
		eventually(t, lasting.TTL/4-reaped, func() error {
			var errs []error
			for i, resource := range resources {
				errs = append(errs, checkNoKeys(wounds[i].name, q.Servers, resource))
			}
			return errors.Join(errs...)
		})
	})
}

// once is the rule that w happens once.
func once(w wound, happened chan<- struct{}) func(proxy.Message) proxy.Action {
	over := false // nobody else asks the rule meanwhile
	return func(m proxy.Message) proxy.Action {
		if over || m.Direction != w.direction || m.Name != w.command {
			return proxy.Pass
		}
		over = true
		happened <- struct{}{}
		return w.action
	}
}
