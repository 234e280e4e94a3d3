package redlock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestANodesDialerOpensAllOfItsConnections(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		dialled := make(map[string]int) // guarded by mu
		dialer := func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			dialled[network+" "+address]++
			mu.Unlock()
			return r.net.DialContext(ctx, network, address)
		}
		var nodes []Node
		for i := range r.nodes {
			nodes = append(nodes, Node{Host: fmt.Sprintf("10.0.0.%d", i+1), Dialer: dialer})
		}
		m := r.manager(Config{Nodes: nodes})
		m.dial = mustNotDial(t)
		r.mustLock(r.Manager, "a")
		waiting, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Lock(waiting, "a"); !errors.Is(err, ErrTaken) { // one to ask, and one to hear of releases
			t.Errorf("got %v", err)
		}
		mustDrop(t, m, "a", 1) // one to look for keys
		mu.Lock()
		defer mu.Unlock()
		want := map[string]int{"tcp 10.0.0.1:6379": 3, "tcp 10.0.0.2:6379": 3, "tcp 10.0.0.3:6379": 3}
		if !maps.Equal(dialled, want) {
			t.Errorf("dialled was %v, want %v", dialled, want)
		}
	})
}

func TestANodesDialerReachesItsSentinels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := startSentinels(t, Node{})
		s.cfg.Dialer = s.m.dial
		s.m.dial = mustNotDial(t)
		mustResolve(t, s, oldMaster, 0)
	})
}

// mustNotDial is for nodes that have a Dialer.
func mustNotDial(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, address string) (net.Conn, error) {
		t.Errorf("%s %s was dialled past the Dialer", network, address)
		return nil, io.EOF
	}
}

func TestTheContextOfADialerEndsWhenConnectingHasTakenTooLong(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		m := r.manager(Config{NodeTimeout: time.Minute, Nodes: []Node{{
			Host: "10.0.0.1",
			Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}}})
		start := time.Now()
		if err := m.Ping(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "no connection within 2s") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != connectTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

func TestWhatADialerFailsWithIsAFailureToDialAndNoHintAtTLS(t *testing.T) {
	refused := errors.New("not allowed")
	own := &net.OpError{Op: "dial", Net: "socks", Err: refused}
	for _, row := range []struct {
		failure, matches error
		ends             string
	}{
		{io.EOF, io.EOF, ": connect: EOF"},
		{own, refused, ": connect: not allowed"},
		{nil, errNoConnection, ": connect: the Dialer has returned no connection"},
	} {
		for _, secure := range []bool{false, true} {
			bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
				dialer := func(context.Context, string, string) (net.Conn, error) { return nil, row.failure }
				m := r.manager(Config{Nodes: []Node{{Host: "10.0.0.1", Dialer: dialer, TLS: secure}}})
				err := m.Ping(t.Context())
				if err == nil || !strings.HasSuffix(err.Error(), row.ends) {
					t.Errorf("got %v, want ... %s", err, row.ends)
				}
				if !errors.Is(err, row.matches) {
					t.Errorf("%v does not match what the Dialer returned", err)
				}
			})
		}
	}
}

// nameless is a connection that does not know where it leads.
type nameless struct{ net.Conn }

func (nameless) RemoteAddr() net.Addr { return nil }

func TestAConnectionNeedNotKnowWhereItLeads(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		m := r.manager(Config{Nodes: []Node{{
			Host: "10.0.0.1",
			Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := r.net.DialContext(ctx, network, address)
				return nameless{conn}, err
			},
		}}})
		if err := m.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestADialerIsNowhereShown(t *testing.T) {
	plain := Node{Host: "h", Port: 7, DB: 2}
	dialled := plain
	dialled.Dialer = new(net.Dialer).DialContext
	for _, pair := range [][2]any{
		{plain, dialled}, {&plain, &dialled}, {[]Node{plain}, []Node{dialled}},
		{Config{Nodes: []Node{plain}}, Config{Nodes: []Node{dialled}}},
	} {
		want, got := printings(t, pair[0]), printings(t, pair[1])
		delete(want, "slog") // it tells the time
		delete(got, "slog")
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
