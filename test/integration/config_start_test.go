package integration

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// door listens, lets a server do what it does with each connection, and counts.
type door struct {
	port     int
	accepted atomic.Int64
}

// startDoor closes with the test, which waits for those who are inside.
func startDoor(t *testing.T, serve func(net.Conn)) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{port: listener.Addr().(*net.TCPAddr).Port}
	var inside sync.WaitGroup
	inside.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			d.accepted.Add(1)
			inside.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		inside.Wait()
	})
	return d
}

// doors are three nodes that lead to doors.
func doors(t *testing.T, serve func(net.Conn)) ([]*door, []redlock.Node) {
	t.Helper()
	var (
		all   []*door
		nodes []redlock.Node
	)
	for range 3 {
		d := startDoor(t, serve)
		all, nodes = append(all, d), append(nodes, redlock.Addr("127.0.0.1", d.port))
	}
	return all, nodes
}

func TestConstructingConnectsToNothingAndTheFirstUseDoes(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		all, nodes := doors(t, func(net.Conn) {})
		credentials := func(context.Context) (string, string, error) {
			t.Error("credentials are asked for before the first connection")
			return "", "", nil
		}
		asking := nodes[0]
		asking.Credentials = credentials
		q.New(t, redlock.Config{Nodes: []redlock.Node{asking}})
		m := q.New(t, redlock.Config{Nodes: nodes})
		m.Held()
		time.Sleep(300 * time.Millisecond) // nothing is to happen: there is nothing to wait for
		for _, d := range all {
			if n := d.accepted.Load(); n != 0 {
				t.Fatalf("%d connections were made before the first use", n)
			}
		}
		wantsNoQuorum(t, m, q.Resource(t))
		for _, d := range all {
			eventually(t, 5*time.Second, func() error {
				if d.accepted.Load() == 0 {
					return errors.New("the first use has not connected")
				}
				return nil
			})
		}
	})
}

func TestPingIsNilWhereAMajorityAnswersAndFailsEarlyWhereNot(t *testing.T) {
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{})
		if err := m.Ping(t.Context()); err != nil {
			t.Errorf("all are up: %v", err)
		}
		q.Servers[0].Kill(t)
		if err := q.New(t, redlock.Config{}).Ping(t.Context()); err != nil {
			t.Errorf("two of three are up: %v", err)
		}
		q.Servers[1].Kill(t)
		err := q.New(t, redlock.Config{}).Ping(t.Context())
		quorum, ok := errors.AsType[*redlock.QuorumError](err)
		if !ok || !errors.Is(err, redlock.ErrNoQuorum) || quorum.Op != "ping" || quorum.Failed != 2 || quorum.Total != 3 {
			t.Errorf("one of three is up: %v", err)
		}
	})
}

func TestPingReportsANodeThatIsMisconfiguredThoughTheOthersAreAMajority(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		nodes := q.plainNodes()
		nodes[1].DB = 4711
		m := q.New(t, redlock.Config{Nodes: nodes})
		eventually(t, 10*time.Second, func() error {
			return checkSetting(m.Ping(t.Context()), "nodes[1].db", "has no database 4711")
		})
	})
}
