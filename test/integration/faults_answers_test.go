package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// grievance is why a server that is up and connected answers with errors, from
// begin until what begin returns is called.
type grievance struct {
	name    string
	options servers.Options
	begin   func(t *testing.T, s *servers.Server) (end func())
	words   string // what the error says of it
}

var (
	// A replica that does not find its master.
	noMaster, ownMaster = []any{"REPLICAOF", "127.0.0.1", 1}, []any{"REPLICAOF", "NO", "ONE"}

	// A user whose rights can be changed.
	withVoter = servers.Options{Users: []string{"voter on >secret ~* &* +@all"}}
)

var grievances = []grievance{
	{"out of memory", servers.Options{}, bySetting("maxmemory", 1, 0), "OOM"},
	{"too few replicas", servers.Options{}, bySetting("min-replicas-to-write", 1, 0), "NOREPLICAS"},
	{"read-only replica", servers.Options{}, byCommand(noMaster, ownMaster), "READONLY"},
	{
		"master down", servers.Options{Config: []string{"replica-serve-stale-data no", "replica-read-only no"}},
		byCommand(noMaster, ownMaster), "MASTERDOWN",
	},
	{"no right to a command", withVoter, byRights("-set", "+set"), "NOPERM"},
	{"no right to a key", withVoter, byRights("resetkeys", "~*"), "NOPERM"},
	{"no right inside a script", withVoter, byRights("-get", "+get"), "script"},
	{"busy", servers.Options{Config: []string{"lua-time-limit 50"}}, beBusy, "BUSY"},
	{"loading", servers.Options{Config: slowToLoad}, loadSlowly, "LOADING"},
	{"save failed", servers.Options{Config: []string{"save 3600 1000000"}}, failToSave, "MISCONF"},
	// It hangs up together with its answer, which may be lost.
	{"too many clients", servers.Options{}, refuseClients, ""},
}

func TestAServerThatAnswersWithErrorsCostsItsVoteAndSaysWhy(t *testing.T) {
	t.Parallel()
	for _, g := range grievances {
		t.Run(g.name, func(t *testing.T) {
			onBadServers(t, g.options, func(t *testing.T, _, q *Quorum) {
				m := q.New(t, redlock.Config{TTL: 20 * time.Second})
				held := mustTry(t, m, q.Resource(t))
				q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
				endOne := suffer(t, g, q.Servers[0])
				wantAllWorks(t, m, held, 10*time.Second)
				endOther := suffer(t, g, q.Servers[1])
				resource := q.Resource(t)
				err := tryAndUnlock(t, m, resource)
				wantNoQuorumOf(t, "TryLock and Unlock", err, q, 0, 1)
				wantEachToSay(t, err, g.words)
				endOne()
				endOther()
				for _, s := range q.Servers[:2] {
					wantVoteOf(t, q, m, s, comingBack)
				}
				q.WantFree(t, resource, 10*time.Second)
				q.WantFree(t, held.Resource(), 10*time.Second)
			})
		})
	}
}

// onBadServers runs a test on each kind. The quorums are of three servers: in few
// the first is the test's own, to be bad or broken; in most the first two are.
// The others are shared.
func onBadServers(t *testing.T, options servers.Options, test func(t *testing.T, few, most *Quorum)) {
	t.Helper()
	onEachKind(t, func(t *testing.T, kind servers.Kind) {
		own, others := servers.StartN(t, kind, 2, options), shared(t, kind)
		few := quorumOf(kind, []*servers.Server{own[0], others[0], others[1]})
		most := quorumOf(kind, []*servers.Server{own[0], own[1], others[0]})
		if len(options.Users) > 0 {
			for _, node := range []*redlock.Node{&few.Nodes[0], &most.Nodes[0], &most.Nodes[1]} {
				node.Username, node.Password = "voter", "secret"
			}
		}
		test(t, few, most)
	})
}

// suffer makes s suffer from g, until what it returns is called. That happens at
// the end of a test that has failed, too: its manager waits for the keys.
func suffer(t *testing.T, g grievance, s *servers.Server) (end func()) {
	t.Helper()
	end = sync.OnceFunc(g.begin(t, s))
	t.Cleanup(end)
	return end
}

// tryAndUnlock returns the error of TryLock, or of the Unlock behind it.
func tryAndUnlock(t *testing.T, m *redlock.Manager, resource string) error {
	lock, err := m.TryLock(t.Context(), resource)
	if err != nil {
		return err
	}
	return lock.Unlock(t.Context())
}

// wantEachToSay fails the test unless each node's error has the words in it.
func wantEachToSay(t *testing.T, err error, words string) {
	t.Helper()
	for _, node := range nodeErrors(err) {
		if !strings.Contains(node.Error(), words) {
			t.Errorf("%q does not say %q", node, words)
		}
	}
}

// byCommand is a grievance that one command makes and another takes away.
func byCommand(begin, end []any) func(t *testing.T, s *servers.Server) func() {
	return func(t *testing.T, s *servers.Server) func() {
		t.Helper()
		send := func(args []any) {
			t.Helper()
			if err := s.Client.Do(context.Background(), args...).Err(); err != nil {
				t.Errorf("%v: %v", args, err)
			}
		}
		send(begin)
		return func() { send(end) }
	}
}

// bySetting is a grievance that is a setting's value.
func bySetting(name string, bad, good any) func(t *testing.T, s *servers.Server) func() {
	return byCommand([]any{"CONFIG", "SET", name, bad}, []any{"CONFIG", "SET", name, good})
}

// byRights is a grievance that is what the user may not do.
func byRights(bad, good string) func(t *testing.T, s *servers.Server) func() {
	return byCommand([]any{"ACL", "SETUSER", "voter", bad}, []any{"ACL", "SETUSER", "voter", good})
}

// occupy gives s something to do in the background and returns when it answers
// everybody with the error. The channel gets the outcome.
func occupy(t *testing.T, s *servers.Server, words string, args ...any) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	client := s.Client.WithTimeout(time.Minute)
	go func() { done <- client.Do(context.Background(), args...).Err() }()
	eventually(t, 10*time.Second, func() error {
		if err := s.Client.Get(t.Context(), "any").Err(); err == nil || !strings.HasPrefix(err.Error(), words) {
			return fmt.Errorf("the server is not %s: %w", words, err)
		}
		return nil
	})
	return done
}

func beBusy(t *testing.T, s *servers.Server) func() {
	t.Helper()
	done := occupy(t, s, "BUSY", "EVAL", "while true do end", 0)
	return func() {
		if err := s.Client.Do(context.Background(), "SCRIPT", "KILL").Err(); err != nil {
			t.Errorf("SCRIPT KILL: %v", err)
		}
		<-done
	}
}

// slowToLoad makes a server that can be made to load its data slowly, and that
// answers meanwhile.
var slowToLoad = []string{
	"enable-debug-command yes", "rdbcompression no", "loading-process-events-interval-bytes 1024",
}

func loadSlowly(t *testing.T, s *servers.Server) func() {
	t.Helper()
	ctx := context.Background()
	var values []any
	for i := range 200 {
		values = append(values, fmt.Sprintf("filling:%d", i), strings.Repeat("x", 2048))
	}
	err := errors.Join(s.Client.MSet(ctx, values...).Err(), s.Client.ConfigSet(ctx, "key-load-delay", "50000").Err())
	if err != nil {
		t.Fatal(err)
	}
	done := occupy(t, s, "LOADING", "DEBUG", "RELOAD")
	return func() {
		err := s.Client.ConfigSet(ctx, "key-load-delay", "0").Err()
		if err := errors.Join(err, <-done); err != nil {
			t.Errorf("loading: %v", err)
		}
	}
}

// failToSave puts a directory where the server is to write its data.
func failToSave(t *testing.T, s *servers.Server) func() {
	t.Helper()
	dir, err := s.Client.ConfigGet(t.Context(), "dir").Result()
	if err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(dir["dir"], "dump.rdb")
	if err := os.MkdirAll(filepath.Join(dump, "obstacle"), 0o700); err != nil {
		t.Fatal(err)
	}
	saveWith(t, s, "err")
	return func() {
		if err := os.RemoveAll(dump); err != nil {
			t.Error(err)
		}
		saveWith(t, s, "ok")
	}
}

// saveWith has s write its data, with the given outcome.
func saveWith(t *testing.T, s *servers.Server, outcome string) {
	t.Helper()
	ctx := context.Background()
	eventually(t, 10*time.Second, func() error {
		_ = s.Client.BgSave(ctx).Err() // it may be at it
		info, err := s.Client.Info(ctx, "persistence").Result()
		if err == nil && !strings.Contains(info, "rdb_last_bgsave_status:"+outcome) {
			err = errors.New("saving has not come out " + outcome)
		}
		return err
	})
}

// refuseClients leaves room for the test's own connection alone.
func refuseClients(t *testing.T, s *servers.Server) func() {
	t.Helper()
	end := bySetting("maxclients", 1, 1000)(t, s)
	killConnections(t, s)
	return end
}
