package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// vault is where a program gets its password from.
type vault struct {
	username string
	password atomic.Value
	asked    atomic.Int64
}

func newVault(username, password string) *vault {
	v := &vault{username: username}
	v.password.Store(password)
	return v
}

func (v *vault) credentials(context.Context) (username, password string, err error) {
	v.asked.Add(1)
	return v.username, v.password.Load().(string), nil
}

// nodes are those of q, with credentials from v.
func (v *vault) nodes(q *Quorum) []redlock.Node {
	nodes := q.plainNodes()
	for i := range nodes {
		nodes[i].Credentials = v.credentials
	}
	return nodes
}

func TestAPasswordCanBeChangedWhileLocksAreTaken(t *testing.T) {
	for name, row := range map[string]struct {
		username string
		options  servers.Options
		change   []any
	}{
		"of a user": {
			"locker", servers.Options{Users: []string{"locker on >first ~* &* +@all"}},
			[]any{"ACL", "SETUSER", "locker", "resetpass", ">second"},
		},
		"of all": {"", servers.Options{Password: "first"}, []any{"CONFIG", "SET", "requirepass", "second"}},
	} {
		t.Run(name, func(t *testing.T) {
			rowsWith(t, 3, row.options, func(t *testing.T, q *Quorum) {
				v := newVault(row.username, "first")
				m := q.New(t, redlock.Config{Nodes: v.nodes(q)})
				takenAndGivenBack(t, m, q.Resource(t))
				v.password.Store("second")
				before := v.asked.Load() // a connection that ends is remade at once
				for _, s := range q.Servers {
					changeAndKill(t, s, row.change)
				}
				takenAndGivenBack(t, m, q.Resource(t))
				if v.asked.Load() == before {
					t.Error("nobody was asked for the new password")
				}
			})
		})
	}
}

// takenAndGivenBack locks and unlocks.
func takenAndGivenBack(t *testing.T, m *redlock.Manager, resource string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lock, err := m.Lock(ctx, resource)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(ctx); err != nil {
		t.Fatal(err)
	}
}

// changeAndKill changes a password on a connection of its own, as which it then
// ends all others, the harness's too.
func changeAndKill(t *testing.T, s *servers.Server, change []any) {
	t.Helper()
	conn := s.Client.Conn()
	defer conn.Close()
	for _, command := range [][]any{change, {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}} {
		if err := conn.Process(t.Context(), redis.NewCmd(t.Context(), command...)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWrongPasswordThatIsPutRightNeedsNoNewManager(t *testing.T) {
	rowsWith(t, 3, servers.Options{Password: "right"}, func(t *testing.T, q *Quorum) {
		v := newVault("", "wr0ng")
		m := q.New(t, redlock.Config{Nodes: v.nodes(q)})
		wantsNoQuorum(t, m, q.Resource(t))
		v.password.Store("right")
		eventually(t, 20*time.Second, func() error { return m.Ping(t.Context()) })
		takenAndGivenBack(t, m, q.Resource(t))
	})
}

func TestCredentialsThatCannotBeHadAreAnErrorOfTheNode(t *testing.T) {
	sealed := errors.New("the vault is sealed")
	rowsWith(t, 3, servers.Options{Password: "secret"}, func(t *testing.T, q *Quorum) {
		nodes := q.plainNodes()
		for i := range nodes {
			nodes[i].Credentials = func(context.Context) (string, string, error) { return "", "", sealed }
		}
		m := q.New(t, redlock.Config{Nodes: nodes})
		eventually(t, 20*time.Second, func() error {
			_, err := m.TryLock(t.Context(), q.Resource(t))
			if !errors.Is(err, redlock.ErrNoQuorum) || !errors.Is(err, sealed) {
				return fmt.Errorf("got %w", err)
			}
			return nil
		})
		silent := q.plainNodes()
		for i := range silent {
			silent[i].Credentials = func(ctx context.Context) (string, string, error) {
				<-ctx.Done()
				return "", "", ctx.Err()
			}
		}
		m = q.New(t, redlock.Config{Nodes: silent, NodeTimeout: 200 * time.Millisecond})
		_, err := m.TryLock(t.Context(), q.Resource(t))
		if !errors.Is(err, redlock.ErrNoQuorum) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(err.Error(), "no answer within 200ms") {
			t.Errorf("%v does not say that there was no answer", err)
		}
	})
}
