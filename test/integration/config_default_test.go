package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/loopback"
	"github.com/redlock-go/redlock/test/servers"
)

// defaultPorts lets one test at a time listen on the ports that a node has by
// default.
var defaultPorts sync.Mutex

// listenByDefault leads who connects to a port that a node has by default to
// target, until the test ends. It reports false where the port is somebody
// else's, as of a server that was installed with the system: nothing of that
// one may be touched.
func listenByDefault(t *testing.T, port int, target string) bool {
	t.Helper()
	defaultPorts.Lock()
	t.Cleanup(defaultPorts.Unlock)
	listener, err := net.Listen("tcp", loopback.Addr(port))
	for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond) // another run of the tests may have it
		listener, err = net.Listen("tcp", loopback.Addr(port))
	}
	if err != nil {
		t.Logf("not connected to by default, for another has the port: %v", err)
		return false
	}
	var inside sync.WaitGroup
	inside.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			inside.Go(func() { forward(client, target) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		inside.Wait()
	})
	return true
}

// forward joins client to target until one of them hangs up.
func forward(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close()
		_, _ = io.Copy(client, server)
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	back.Wait()
}

func TestWithoutNodesTheServerOfThisMachineKeepsTheLock(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		q.Servers = q.Servers[:1]
		there := listenByDefault(t, 6379, q.Servers[0].Addr)
		for name, open := range map[string]func() (*redlock.Manager, error){
			"no nodes": func() (*redlock.Manager, error) { return redlock.New(redlock.Config{}) },
			"no URIs":  func() (*redlock.Manager, error) { return redlock.Open() },
			"the URI":  func() (*redlock.Manager, error) { return redlock.Open("redis://localhost:6379") },
			"no port":  func() (*redlock.Manager, error) { return redlock.Open("redis://localhost") },
		} {
			t.Run(name, func(t *testing.T) {
				m, err := open()
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close(context.Background())
				if got := fmt.Sprint(m); got != "redlock.Manager{localhost:6379}" {
					t.Errorf("got %s", got)
				}
				if !there {
					return
				}
				lock := wantLock(t, m, q.Resource(t), 10*time.Second)
				q.WantEverywhere(t, lock.Resource(), lock.Token(), 0)
				mustUnlock(t, lock)
				q.WantFree(t, lock.Resource(), time.Second)
			})
		}
	})
}

func TestASentinelIsAskedAtPort26379ByDefault(t *testing.T) {
	t.Parallel()
	rowsBehindSentinel(t, threeMasters, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		if !listenByDefault(t, 26379, s.Servers[0].Addr) {
			return // TestASentinelsPortDefaultsTo26379 looks at the number
		}
		eachSentinelFormLocks(t, q, s, map[string]sentinelForm{
			"URI":     func(_ []*servers.Server, master string) any { return "redis://localhost?master=" + master },
			"mapping": func(_ []*servers.Server, master string) any { return mapping{"host": "localhost", "master": master} },
			"mapping of addresses": func(_ []*servers.Server, master string) any {
				return mapping{"sentinels": []any{"localhost"}, "master": master}
			},
		})
	})
}

func TestAnExistingClientIsCalledByItsOwnAddressInErrors(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		q.Nodes = clientsOf(t, proxies)
		named := redis.NewClient(&redis.Options{Addr: proxies[2].Addr, DB: 3, Username: "us3r", Password: "s3cret"})
		t.Cleanup(func() { _ = named.Close() })
		q.Nodes[2] = redlock.Client(named)
		for _, p := range proxies {
			p.Down()
		}
		m := q.New(t, redlock.Config{})
		_, taking := m.TryLock(t.Context(), q.Resource(t))
		for name, err := range map[string]error{"Ping": m.Ping(t.Context()), "TryLock": taking} {
			text := fmt.Sprint(err)
			named := 0
			for _, p := range proxies {
				named += min(1, strings.Count(text, p.Addr))
			}
			if named < 2 || strings.Contains(text, "us3r") || strings.Contains(text, "s3cret") {
				t.Errorf("%s: got %s, which names %d clients", name, text, named)
			}
		}
		for i, p := range proxies {
			if got := fmt.Sprint(q.Nodes[i]); !strings.HasPrefix(got, p.Addr) {
				t.Errorf("client %d is called %s, want %s", i, got, p.Addr)
			}
		}
	})
}
