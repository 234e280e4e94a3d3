package integration

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// unanswered are the ways in which a call ends while the SET to some nodes is on
// its way. They are ordered by how many these are, the first ones of three.
var unanswered = []struct {
	name  string
	nodes int
	call  func(t *testing.T, m *redlock.Manager, resource string)
}{
	{"unlocked", 1, func(t *testing.T, m *redlock.Manager, resource string) {
		lock, err := m.TryLock(t.Context(), resource)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	}},
	{"failed", 2, func(t *testing.T, m *redlock.Manager, resource string) {
		if lock, err := m.TryLock(t.Context(), resource); !errors.Is(err, redlock.ErrNoQuorum) {
			t.Errorf("got %v, %v", lock, err)
		}
	}},
	{"cancelled", 2, func(t *testing.T, m *redlock.Manager, resource string) {
		ctx, cancel := context.WithTimeout(t.Context(), tardy/4)
		defer cancel()
		if lock, err := m.Lock(ctx, resource); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", lock, err)
		}
	}},
}

// tardy is the node timeout of tests in which nodes stay silent: a connection is
// given up after four times as long.
const (
	tardy   = time.Second
	givenUp = 4 * tardy
)

// Two users: the library may have the server drop the connection of an acquire
// that was not answered, or can only ask again and again for the release.
var dropping = map[string]string{
	"may":     "+@all",
	"may-not": "+@all -client|kill -client|list",
}

// rowsAs runs a test on three servers that have these users.
func rowsAs(t *testing.T, users map[string]string, test func(t *testing.T, q *Quorum)) {
	t.Helper()
	var options servers.Options
	for name, rights := range users {
		options.Users = append(options.Users, fmt.Sprintf("%s on >secret ~* &* %s", name, rights))
	}
	rowsWith(t, 3, options, test)
}

// as makes a manager that logs in as one of the users of rowsAs.
func (q *Quorum) as(t *testing.T, user string, cfg redlock.Config) *redlock.Manager {
	t.Helper()
	for i := range q.Nodes {
		q.Nodes[i].Username, q.Nodes[i].Password = user, "secret"
	}
	m := q.New(t, cfg)
	awaitNodes(t, m)
	return m
}

func TestASETThatIsExecutedAfterItsReleaseLeavesNoKey(t *testing.T) {
	t.Parallel()
	rowsAs(t, dropping, func(t *testing.T, q *Quorum) {
		var all []*late
		for user := range dropping {
			for _, u := range unanswered {
				l := &late{name: u.name + " as one who " + user, resource: q.Resource(t), proxies: q.Proxies(t)[:u.nodes]}
				m := q.as(t, user, redlock.Config{NodeTimeout: tardy})
				l.hold(true)
				u.call(t, m, l.resource)
				all = append(all, l)
			}
		}
		for _, l := range all {
			l.awaitRelease(t)
			wantNoKeys(t, l.name+", before the SET", q.Servers, l.resource)
		}
		before := executed(t, q.Servers[0], "set")
		for _, l := range all {
			l.arrive()
		}
		time.Sleep(reaped)
		for _, l := range all {
			wantNoKeys(t, l.name, q.Servers, l.resource)
		}
		if n := executed(t, q.Servers[0], "set") - before; n < len(unanswered) {
			t.Errorf("%d SETs were late, want %d: where no connection may be dropped", n, len(unanswered))
		}
	})
}

// late is a call whose SET reaches some nodes after a release that was sent later,
// on another connection.
type late struct {
	name, resource string
	proxies        []*proxy.Proxy // before the nodes that are late
	released       atomic.Int32   // how many of them have answered such a release
}

// hold has the first SET to each node held, whatever becomes of its connection.
// With alone, that one ends behind it: the releases that it carries are lost.
func (l *late) hold(alone bool) {
	for _, p := range l.proxies {
		held, told := 0, false // the connection; nobody else asks the rule meanwhile
		p.Handle(func(m proxy.Message) proxy.Action {
			switch {
			case m.Direction == proxy.ToServer && m.Name == "SET" && held == 0:
				held = m.Conn
				return proxy.Hold
			case m.Direction == proxy.ToServer && m.Conn == held && alone:
				return proxy.Cut(0)
			case m.Direction == proxy.ToClient && m.Name == "EVALSHA" && m.Conn > held && held > 0 && !told:
				told = true
				l.released.Add(1)
			}
			return proxy.Pass
		})
	}
}

// awaitRelease returns when the release was executed everywhere, on connections
// later than that of the SET.
func (l *late) awaitRelease(t *testing.T) {
	t.Helper()
	eventually(t, givenUp+10*time.Second, func() error {
		if n := int(l.released.Load()); n < len(l.proxies) {
			return fmt.Errorf("%s: the release was executed on %d of %d late nodes", l.name, n, len(l.proxies))
		}
		return nil
	})
}

// arrive lets the held SETs reach their servers.
func (l *late) arrive() {
	for _, p := range l.proxies {
		p.Release()
	}
}

// executed is how often a server has executed a command.
func executed(t *testing.T, s *servers.Server, command string) int {
	t.Helper()
	stats, err := s.Client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(stats, "cmdstat_"+command+":calls=")
	digits, _, _ := strings.Cut(after, ",")
	n, _ := strconv.Atoi(digits) // never yet: no such line
	return n
}

func TestALateReleaseOfAFailedTryTakesNothingFromTheNext(t *testing.T) {
	t.Parallel()
	users := map[string]string{"may-not": dropping["may-not"]}
	rowsAs(t, users, func(t *testing.T, q *Quorum) {
		l := &late{name: "failed", resource: q.Resource(t), proxies: q.Proxies(t)}
		m := q.as(t, "may-not", redlock.Config{NodeTimeout: tardy, TTL: 3 * time.Second})
		l.hold(false)
		if lock, err := m.TryLock(t.Context(), l.resource); !errors.Is(err, redlock.ErrNoQuorum) {
			t.Fatalf("got %v, %v", lock, err)
		}
		l.awaitRelease(t)
		lock, err := m.TryLock(t.Context(), l.resource, redlock.WithTTL(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		q.WantEverywhere(t, l.resource, lock.Token(), tardy)
		var before []int
		for _, s := range q.Servers {
			before = append(before, executed(t, s, "evalsha"))
		}
		l.arrive() // the SET of the failed try, and behind it its release
		for i, s := range q.Servers {
			awaitExecuted(t, s, "evalsha", before[i])
		}
		q.WantEverywhere(t, l.resource, lock.Token(), 0)
		if held, err := lock.IsHeld(t.Context()); !held {
			t.Errorf("the lock is not held: %v", err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// awaitExecuted returns when a server has executed a command more than n times.
func awaitExecuted(t *testing.T, s *servers.Server, command string, n int) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		if executed(t, s, command) <= n {
			return fmt.Errorf("%s has not executed %s again", s.Addr, command)
		}
		return nil
	})
}
