package contract_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

func TestTheYAMLOfTheREADMEConfiguresAManager(t *testing.T) {
	var cfg redlock.Config
	if err := yaml.Unmarshal([]byte(readmeBlock(t, "yaml")), &cfg); err != nil {
		t.Fatal(err)
	}
	m, err := redlock.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Nodes) != 5 || cfg.TTL != 30*time.Second || cfg.KeyPrefix != "lock:" {
		t.Errorf("read as %v", cfg)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTheACLOfTheREADMEIsAllThatALockNeeds(t *testing.T) {
	for _, kind := range servers.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := servers.Start(t, kind, servers.Options{Users: []string{readmeUser(t)}})
			if err := everything(t, server); err != nil {
				t.Fatal(err)
			}
			if refused := refusals(t, server); len(refused) > 0 {
				t.Errorf("refused were %q", refused)
			}
		})
	}
}

func TestWhatIsLostWithoutAPartOfTheACLIsWhatTheREADMESays(t *testing.T) {
	for _, kind := range servers.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := servers.Start(t, kind, servers.Options{Users: []string{readmeUser(t)}})
			without := func(command string) error {
				acl(t, server, "SETUSER", "locker", "-"+command)
				defer acl(t, server, "SETUSER", "locker", "+"+command)
				return everything(t, server)
			}
			for _, command := range strings.Fields("set get getrange del pttl pexpire evalsha ping exists persist") {
				err := without(command)
				if !errors.Is(err, redlock.ErrNoQuorum) && !errors.As(err, new(*redlock.ConfigError)) {
					t.Errorf("without %s: got %v, want that it is missed", command, err)
				}
			}
			for _, command := range strings.Fields("script|load info client|kill") {
				if err := without(command); err != nil {
					t.Errorf("without %s: %v", command, err)
				}
			}
		})
	}
}

// readmeUser is the user of the README's ACL as a line of a configuration.
func readmeUser(t *testing.T) string {
	t.Helper()
	user, found := strings.CutPrefix(readmeBlock(t, "acl"), "ACL SETUSER ")
	if !found {
		t.Fatal("the README's ACL sets no user")
	}
	return user
}

// everything does each kind of thing that this version can do with a lock, and
// returns what failed.
func everything(t *testing.T, server *servers.Server) error {
	t.Helper()
	ctx := t.Context()
	node, err := redlock.ParseNode("redis://locker:secret@" + server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	m, err := redlock.New(redlock.Config{Nodes: []redlock.Node{node}, KeyPrefix: "lock:"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		// Where del is missing, keys stay: nobody needs to wait for them.
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_ = m.Close(ended)
	}()
	if err := m.Ping(ctx); err != nil {
		return err
	}
	// The nodes forget their scripts, and are sent them in full.
	if err := server.Client.ScriptFlush(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	for i, opts := range [][]redlock.LockOption{
		nil, {redlock.WithToken("a token")}, {redlock.WithNoExpiry()},
	} {
		resource := fmt.Sprintf("%s-%d", t.Name(), i)
		if err := oneLock(ctx, m, resource, opts); err != nil {
			_ = server.Client.FlushAll(ctx)
			return err
		}
	}
	return nil
}

// oneLock takes a lock through its whole life.
func oneLock(ctx context.Context, m *redlock.Manager, resource string, opts []redlock.LockOption) error {
	lock, err := m.TryLock(ctx, resource, opts...)
	if err != nil {
		return err
	}
	if err := lock.Extend(ctx, 2*lock.TTL()); err != nil && !errors.Is(err, redlock.ErrNoExpiry) {
		return err
	}
	_, notHeld := lock.IsHeld(ctx)
	_, notLocked := m.IsLocked(ctx, resource)
	_, notSeen := m.Inspect(ctx, resource)
	_, notResumed := m.Resume(ctx, resource, "another token")
	if errors.Is(notResumed, redlock.ErrNotHeld) {
		notResumed = nil
	}
	return errors.Join(notHeld, notLocked, notSeen, notResumed, lock.Unlock(ctx), m.ForceUnlock(ctx, resource))
}

// refusals are what the server's users were not allowed, but for go-redis'
// telling its name, which servers before 7.2 do not know anyway.
func refusals(t *testing.T, server *servers.Server) []string {
	t.Helper()
	entries, err := server.Client.ACLLog(t.Context(), 100).Result()
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, entry := range entries {
		if entry.Object != "client|setinfo" && !slices.Contains(refused, entry.Object) {
			refused = append(refused, entry.Object)
		}
	}
	return refused
}

func acl(t *testing.T, server *servers.Server, args ...any) {
	t.Helper()
	if err := server.Client.Do(t.Context(), append([]any{"ACL"}, args...)...).Err(); err != nil {
		t.Fatal(err)
	}
}

// readmeBlock is the README's only block in the given language.
func readmeBlock(t *testing.T, language string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(readme), "```"+language+"\n")
	if !found {
		t.Fatalf("the README has no block of %s", language)
	}
	block, _, _ := strings.Cut(after, "```")
	return strings.TrimSpace(block)
}
