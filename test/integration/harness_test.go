package integration

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

func TestARowSeesWhatItsServersKeep(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		q.Take(t, 2, resource, "someone", time.Minute)
		if got := q.Values(t, resource); !slices.Equal(got, []string{"someone", "someone", ""}) {
			t.Errorf("the servers keep %q", got)
		}
	})
}

func TestAManagerOfARowLocksOnItsServers(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) { locksOnAll(t, q) })
}

func TestAManagerOfARowCanBePutBehindProxies(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		locksOnAll(t, q)
		for i, p := range proxies {
			if n := p.Count("SET"); n != 1 {
				t.Errorf("node %d was sent %d SETs", i, n)
			}
		}
	})
}

func TestARowHasServersOfItsOwnToBreak(t *testing.T) {
	rowsWith(t, 5, servers.Options{Password: "secret"}, func(t *testing.T, q *Quorum) {
		for i := range q.Nodes {
			q.Nodes[i].Password = "secret"
		}
		q.Servers[0].Kill(t)
		q.Servers[1].Pause(t)
		lock, err := q.New(t, redlock.Config{}).TryLock(t.Context(), q.Resource(t))
		if err != nil {
			t.Fatal(err)
		}
		q.Servers[0].Restart(t)
		q.Servers[1].Continue(t)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		q.WantFree(t, lock.Resource(), time.Second)
	})
}

func TestARowHasMastersThatSentinelNames(t *testing.T) {
	rowsBehindSentinel(t, threeMasters, func(t *testing.T, q *Quorum, _ *servers.Sentinels) { locksOnAll(t, q) })
}

// locksOnAll wants the lock on every server, and then on none. A node whose first
// connection takes longer than its node timeout has no vote yet: it is tried again.
func locksOnAll(t *testing.T, q *Quorum) {
	t.Helper()
	m, resource := q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
	eventually(t, 20*time.Second, func() error {
		lock, err := m.TryLock(t.Context(), resource)
		if err != nil {
			return err
		}
		err = await(2*time.Second, func() error {
			return q.checkValues(t, resource, slices.Repeat([]string{lock.Token()}, len(q.Servers))...)
		})
		return errors.Join(err, lock.Unlock(t.Context()))
	})
	q.WantFree(t, resource, 5*time.Second)
}
