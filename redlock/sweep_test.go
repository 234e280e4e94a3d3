package redlock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// mustDrop wants ForceUnlockAll to remove so many resources.
func mustDrop(t *testing.T, m *Manager, prefix string, want int) {
	t.Helper()
	if got, err := m.ForceUnlockAll(t.Context(), prefix); got != want || err != nil {
		t.Errorf("%q: got %d, %v, want %d", prefix, got, err, want)
	}
}

func TestForceUnlockAllDropsEveryResourceUnderAPrefixOnce(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		for i := range 3 * maxDrops {
			for _, node := range r.nodes {
				node.Set(fmt.Sprint("job:", i), "mine", time.Minute)
			}
		}
		r.nodes[1].Set("job:on one node alone", "mine", 0)
		r.nodes[1].Set("jobs", "mine", 0)
		lock := r.mustLock(r.Manager, "job:ours")
		mustDrop(t, r.Manager, "job:", 3*maxDrops+2)
		if lock.Err() != ErrLost {
			t.Errorf("our own got %v", lock.Err())
		}
		for i, node := range r.nodes {
			for _, key := range node.Keys() {
				if key != "jobs" {
					t.Errorf("node %d has %q", i, key)
				}
			}
		}
		r.mustHave("jobs", 1)
		mustDrop(t, r.Manager, "job:", 0)
	})
}

func TestAPrefixIsTakenLiterally(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		for _, prefix := range []string{
			"a*", "a?", "a[b]", "a[", "a]", `a\`, "a^", "a-", "[a-z]", "[^a]", `a\*`, "*", "?", "a*b?[c]^-", "ü*", "a\n*",
		} {
			for _, node := range r.nodes {
				node.FlushAll()
				for _, key := range []string{"ab", "a", "abc", "b", "axb", "aXb", "z"} {
					node.Set(key, "another's", 0)
				}
				node.Set(prefix, "mine", 0)
				node.Set(prefix+"1", "mine", 0)
			}
			before := len(r.nodes[0].Keys())
			mustDrop(t, r.Manager, prefix, 2)
			if got := len(r.nodes[0].Keys()); got != before-2 {
				t.Errorf("%q: %d keys of %d are left: %q", prefix, got, before, r.nodes[0].Keys())
			}
		}
	})
}

func TestAKeyPrefixStandsBeforeThePrefixThatIsDropped(t *testing.T) {
	bubble(t, 3, Config{KeyPrefix: "lock:"}, func(t *testing.T, r *rig) {
		r.mustLock(r.Manager, "a1")
		r.mustLock(r.Manager, "b1")
		for _, key := range []string{"a1", "b1", "lock", "lock:", "lock"} {
			r.nodes[0].Set(key, "another's", 0)
		}
		mustDrop(t, r.Manager, "a", 1)
		r.mustHave("lock:b1", 3)
		mustDrop(t, r.Manager, "", 1)
		for _, key := range []string{"a1", "b1", "lock", "lock:"} {
			r.mustHave(key, 1)
		}
	})
}

func TestAPrefixThatIsTooMuchIsRefused(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		for _, prefix := range []string{"", strings.Repeat("x", 1025), "redlock:{"} {
			n, err := r.ForceUnlockAll(t.Context(), prefix)
			var config *ConfigError
			if n != 0 || !errors.As(err, &config) || config.Field != "prefix" {
				t.Errorf("%.20q: got %d, %v", prefix, n, err)
			}
		}
		if len(r.nodes[0].Conns()) != 0 {
			t.Error("the node was connected to")
		}
	})
}

func TestForceUnlockAllLeavesAloneWhatCannotBeALock(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for _, node := range r.nodes {
			node.Set("redlock:{a}", "the library's own", 0)
			node.Set("redlock:a", "mine", 0)
			node.Set("redlock:long", strings.Repeat("x", maxValue), 0)
			node.Set("redlock:"+strings.Repeat("x", maxResource), "mine", 0)
			node.Do("RPUSH", "redlock:list", "no", "lock")
			node.Do("HSET", "redlock:hash", "no", "lock")
		}
		r.nodes[2].Do("DEL", "redlock:list")
		r.nodes[2].Set("redlock:list", "a string here", 0)
		mustDrop(t, r.Manager, "redlock:", 2)
		r.mustHave("redlock:a", 0)
		r.mustHave("redlock:list", 2)
		for _, key := range []string{"redlock:{a}", "redlock:long", "redlock:hash"} {
			r.mustHave(key, 3)
		}
		if n := len(r.nodes[0].Keys()); n != 5 {
			t.Errorf("%d keys are left", n)
		}
	})
}

func TestANodeThatCannotBeScannedIsNamedAndTheOthersAre(t *testing.T) {
	for name, row := range map[string]struct {
		fault func(*fakeredis.Node)
		says  string
		took  time.Duration
	}{
		"dead":       {func(n *fakeredis.Node) { n.Kill() }, "connection refused", 0},
		"silent":     {func(n *fakeredis.Node) { n.Pause() }, "no answer", time.Second},
		"refuses":    {func(n *fakeredis.Node) { n.Deny("scan") }, "refuses the command", 0},
		"loading":    {func(n *fakeredis.Node) { n.FailWith("scan", "LOADING the dataset") }, "LOADING", 0},
		"full":       {func(n *fakeredis.Node) { n.SetMaxClients(1) }, "connect: ", 0},
		"hangs":      {hangsOn(fakeredis.Action{Drop: true}), "no answer to SCAN", time.Second},
		"is cut off": {hangsOn(fakeredis.Action{Cut: true}), "reset", 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				keptFor(r, time.Minute, time.Minute, time.Minute)
				r.connected()
				row.fault(r.nodes[1])
				synctest.Wait()
				start := time.Now()
				n, err := r.ForceUnlockAll(t.Context(), "a")
				var failed *NodeError
				if n != 1 || errors.Is(err, ErrNoQuorum) || !errors.As(err, &failed) || failed.Node != "10.0.0.2:6379" ||
					!contains(err.Error(), row.says) || contains(err.Error(), "10.0.0.1") {
					t.Errorf("got %d, %v", n, err)
				}
				if took := time.Since(start) - row.took; took < 0 || took > time.Second {
					t.Errorf("it took %v", time.Since(start))
				}
				row.fault(r.nodes[2])
				n, err = r.ForceUnlockAll(t.Context(), "a")
				if n != 0 || !errors.Is(err, ErrNoQuorum) || !contains(err.Error(), "10.0.0.2") ||
					!contains(err.Error(), "10.0.0.3") || contains(err.Error(), "10.0.0.1") || contains(err.Error(), "\n") {
					t.Errorf("a majority: got %d, %v", n, err)
				}
				for _, node := range r.nodes[1:] {
					node.SetMaxClients(0)
					node.Start()
				}
			})
		})
	}
}

// hangsOn is a node that does this to every SCAN.
func hangsOn(a fakeredis.Action) func(*fakeredis.Node) {
	return func(n *fakeredis.Node) {
		n.OnCommand(func(c fakeredis.Command) fakeredis.Action {
			if c.Name == "SCAN" {
				return a
			}
			return fakeredis.Action{}
		})
	}
}

// scanReply is an answer of SCAN.
func scanReply(cursor string, keys ...string) string {
	reply := fmt.Sprintf("*2\r\n$%d\r\n%s\r\n*%d\r\n", len(cursor), cursor, len(keys))
	for _, key := range keys {
		reply += fmt.Sprintf("$%d\r\n%s\r\n", len(key), key)
	}
	return reply
}

func TestWhatANodeHasToldBeforeItFailsIsDroppedAllTheSame(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for _, key := range []string{"a1", "a2", "a3"} {
			r.nodes[0].Set(key, "mine", 0)
		}
		scans := 0
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			if c.Name == "SCAN" {
				switch scans++; scans {
				case 1:
					a.Reply = scanReply("17", "a1", "a2", "b", "a1", "redlock:{a}")
				case 2:
					a.Reply = scanReply("18")
				default:
					a.Cut = true
				}
			}
			return a
		})
		n, err := r.ForceUnlockAll(t.Context(), "a")
		if n != 2 || err == nil || !contains(err.Error(), "10.0.0.1:6379") || errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %d, %v", n, err)
		}
		r.mustHave("a1", 0)
		r.mustHave("a2", 0)
		r.mustHave("a3", 1)
	})
}

func TestANodeThatFailsAfterItsScanIsNamed(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute, time.Minute)
		for _, node := range r.nodes[:2] {
			node.FailWith("del", "MISCONF errors writing to the disk")
		}
		n, err := r.ForceUnlockAll(t.Context(), "a")
		if n != 1 || !errors.Is(err, ErrNoQuorum) || strings.Count(err.Error(), "MISCONF") != 2 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

func TestAContextThatEndsInMidScanReturnsWhatWasDropped(t *testing.T) {
	for name, end := range map[string]func(cancel func(), r *rig){
		"by its context": func(cancel func(), _ *rig) { cancel() },
		"by Close":       func(_ func(), r *rig) { go func() { _ = r.Close(context.Background()) }() },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, 3, func(t *testing.T, r *rig) {
				keptFor(r, 0, 0, 0)
				r.connected()
				hangsOn(fakeredis.Action{Drop: true})(r.nodes[1])
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				type outcome struct {
					n   int
					err error
				}
				got := make(chan outcome)
				go func() { n, err := r.ForceUnlockAll(ctx, "a"); got <- outcome{n, err} }()
				passTime(100 * time.Millisecond)
				r.mustHave("a", 0)
				start := time.Now()
				end(cancel, r)
				o := <-got
				want := context.Canceled
				if name == "by Close" {
					want = ErrClosed
				}
				if o.n != 1 || !errors.Is(o.err, want) || errors.Is(o.err, ErrNoQuorum) || time.Since(start) != 0 {
					t.Errorf("got %d, %v after %v", o.n, o.err, time.Since(start))
				}
			})
		})
	}
}

func TestAScanHasAConnectionOfItsOwnThatEndsWithIt(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute, time.Minute)
		r.connected()
		stream := r.nodes[0].Conns()[0]
		mustDrop(t, r.Manager, "a", 1)
		synctest.Wait()
		if ids := r.nodes[0].Conns(); len(ids) != 1 || ids[0] != stream {
			t.Errorf("the node has the connections %v", ids)
		}
		for _, c := range r.nodes[0].Commands() {
			if scan := c.Name == "SCAN"; scan == (c.Conn == stream) && (scan || c.Name == "EVALSHA") {
				t.Errorf("%s went out on connection %d", c.Name, c.Conn)
			}
		}
	})
}

func TestAScanLogsInAsTheNodeDoesAndGoesToTheServerOfItsStream(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		nodes := []Node{
			{Host: "10.0.0.1", Username: "us3r", Password: "s3cret", DB: 3},
			{Host: "10.0.0.2", Credentials: func(context.Context) (string, string, error) { return "us3r", "s3cret", nil }},
			{Host: "10.0.0.3", Password: "s3cret"},
		}
		for _, node := range r.nodes {
			node.SetPassword("s3cret")
			node.SetUser("us3r", "s3cret")
		}
		m := r.manager(Config{Nodes: nodes})
		lock := r.mustLock(m, "a")
		mustDrop(t, m, "a", 1)
		if lock.Err() != ErrLost {
			t.Errorf("got %v", lock.Err())
		}
		r.mustHave("a", 0)

		// A node whose address leads elsewhere by now, as that of a master may.
		var mu sync.Mutex
		var dialled []string // guarded by mu
		m = r.manager(Config{Nodes: nodes})
		m.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			dialled = append(dialled, network+" "+address)
			return r.net.DialContext(ctx, network, address)
		}
		if err := m.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.nodes[0].mu.Lock()
		m.nodes[0].stream.address = "10.0.0.2:6379"
		m.nodes[0].mu.Unlock()
		dialled = nil
		mustDrop(t, m, "a", 0)
		if strings.Count(strings.Join(dialled, ", "), "tcp 10.0.0.2:6379") != 2 {
			t.Errorf("dialled was %q", dialled)
		}
	})
}

func TestAScanOfANodeWithTLSIsEncrypted(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		certificate, authorities := certify(t)
		m := r.manager(Config{Nodes: []Node{{
			Host: "10.0.0.1", TLSConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		}}})
		secure := &rig{Manager: m, t: t}
		secure.behindTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		r.nodes[0].Set("a", "mine", 0)
		mustDrop(t, m, "a", 1)
	})
}
