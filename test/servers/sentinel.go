package servers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/test/loopback"
)

// failoverTimeout is how long Sentinel tries; twice as long lies between two tries.
const failoverTimeout = 3 * time.Second

// SentinelOptions say what three Sentinels, and the masters that they watch,
// demand.
type SentinelOptions struct {
	// Masters are the names under which Sentinel knows the masters, each a server
	// with one replica. Defaults to one, "leader".
	Masters []string

	// Master is how the masters and their replicas are run.
	Master Options

	// DownAfter is how long a master may be silent before it counts as down.
	// Defaults to five seconds: no failover that the test has not asked for.
	DownAfter time.Duration

	// Password, Users and TLS are Sentinel's own, see [Options].
	Password string
	Users    []string
	TLS      *TLS
}

// Sentinels are three Sentinels and what they watch.
type Sentinels struct {
	Servers []*Server // the Sentinels themselves
	Groups  []*Group  // in the order of SentinelOptions.Masters

	options SentinelOptions
}

// Group is a master and its replica; who is which changes with a failover.
type Group struct {
	Name    string
	Servers []*Server

	sentinels *Sentinels
}

// StartSentinels starts Sentinels that stop with the test. It returns when they
// know each other and every replica, so that a failover can happen.
func StartSentinels(t testing.TB, kind Kind, options SentinelOptions) *Sentinels {
	t.Helper()
	Need(t, kind)
	s := &Sentinels{options: options}
	s.options.DownAfter = cmp.Or(options.DownAfter, 5*time.Second)
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("stopping Sentinel: %v", err)
		}
	})
	if len(options.Masters) == 0 {
		s.options.Masters = []string{"leader"}
	}
	if err := s.start(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	return s
}

// Addrs are the addresses that clients ask.
func (s *Sentinels) Addrs() []string {
	var addrs []string
	for _, server := range s.Servers {
		addrs = append(addrs, server.Addr)
	}
	return addrs
}

// Master is the server that a majority of the Sentinels name.
func (g *Group) Master(t testing.TB) *Server { return g.member(t, true) }

// Replica is the other server.
func (g *Group) Replica(t testing.TB) *Server { return g.member(t, false) }

// Failover makes Sentinel promote the replica and returns when it is the master.
// Sentinel gives a failover up that is not done in time, and has to be told again.
func (g *Group) Failover(t testing.TB) {
	t.Helper()
	old := g.Master(t)
	var told time.Time
	g.await(t, old, func(ctx context.Context) error {
		if time.Since(told) < 2*failoverTimeout {
			return nil
		}
		told = time.Now()
		return g.sentinels.Servers[0].Client.Do(ctx, "SENTINEL", "FAILOVER", g.Name).Err()
	})
}

// AwaitFailover returns when all Sentinels name another master than old and it
// has taken up its role. It is for a test that has paused or killed old.
func (g *Group) AwaitFailover(t testing.TB, old *Server) {
	t.Helper()
	g.await(t, old, func(context.Context) error { return nil })
}

func (g *Group) await(t testing.TB, old *Server, tell func(context.Context) error) {
	t.Helper()
	err := await(t.Context(), func(ctx context.Context) error {
		if err := tell(ctx); err != nil {
			return err
		}
		for _, sentinel := range g.sentinels.Servers {
			addr, err := g.ask(ctx, sentinel)
			if err != nil {
				return err
			}
			if addr == old.Addr {
				return fmt.Errorf("%s is still the master for Sentinel %s", addr, sentinel.Addr)
			}
		}
		for _, server := range g.Servers {
			if server != old {
				return infoHas(ctx, server, "replication", "role:master")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("no failover of %s: %v", g.Name, err)
	}
}

func (g *Group) member(t testing.TB, master bool) *Server {
	t.Helper()
	votes := map[string]int{}
	for _, sentinel := range g.sentinels.Servers {
		if addr, err := g.ask(t.Context(), sentinel); err == nil {
			votes[addr]++
		}
	}
	for _, server := range g.Servers {
		if elected := votes[server.Addr] > len(g.sentinels.Servers)/2; elected == master {
			return server
		}
	}
	t.Fatalf("the Sentinels do not agree on %s: %v", g.Name, votes)
	return nil
}

func (g *Group) ask(ctx context.Context, sentinel *Server) (string, error) {
	addr, err := sentinel.Client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.Name).StringSlice()
	if err != nil {
		return "", err
	}
	return strings.Join(addr, ":"), nil
}

func (s *Sentinels) start(ctx context.Context, kind Kind) error {
	for _, name := range s.options.Masters {
		s.Groups = append(s.Groups, &Group{Name: name, sentinels: s})
	}
	ports := make([]int, len(s.Groups))
	for i := range ports {
		ports[i] = loopback.Port()
	}
	// Masters first, then replicas: one process starts beside the other.
	watched, err := startAll(2*len(s.Groups), func(i int) (*Server, error) {
		group, replica := i%len(ports), i >= len(ports)
		port := ports[group]
		options := s.options.Master.replicated()
		if replica {
			options.Config = append(options.Config, fmt.Sprintf("replicaof %s %d", loopback.Host, port))
			port = loopback.Port()
		}
		return start(ctx, kind, options, port)
	})
	if err != nil {
		return err
	}
	for i, server := range watched {
		group := s.Groups[i%len(ports)]
		group.Servers = append(group.Servers, server)
	}
	if err := await(ctx, s.replicasFollow); err != nil {
		return err
	}
	s.Servers, err = startAll(3, func(int) (*Server, error) {
		return start(ctx, kind, s.sentinelOptions(), loopback.Port())
	})
	if err != nil {
		return err
	}
	if err := s.tune(ctx); err != nil {
		return err
	}
	return await(ctx, s.everyoneKnown)
}

// tune makes the Sentinels look around more often: by default they ask a server
// every ten seconds what it is. They must not hurry too much: a Sentinel that has
// not heard of a failover for four publish periods undoes it, and a promotion
// takes up to a second. A replica whose last word about itself is older than five
// ping periods is not promoted, and it is asked once a second at the least.
func (s *Sentinels) tune(ctx context.Context) error {
	for _, sentinel := range s.Servers {
		err := sentinel.Client.Do(ctx, "SENTINEL", "DEBUG",
			"INFO-PERIOD", 200, "PING-PERIOD", 400, "PUBLISH-PERIOD", 750).Err()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Sentinels) replicasFollow(ctx context.Context) error {
	for _, group := range s.Groups {
		if err := infoHas(ctx, group.Servers[0], "replication", "state=online"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sentinels) everyoneKnown(ctx context.Context) error {
	for _, sentinel := range s.Servers {
		for _, group := range s.Groups {
			err := infoHas(ctx, sentinel, "sentinel",
				fmt.Sprintf("name=%s,status=ok,address=%s,slaves=1,sentinels=3", group.Name, group.Servers[0].Addr))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Sentinels) stop() error {
	all := slices.Clone(s.Servers)
	for _, group := range s.Groups {
		all = append(all, group.Servers...)
	}
	return stopAll(all)
}

// await repeats check until it succeeds or patience ends, and returns what it
// said last.
func await(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func infoHas(ctx context.Context, server *Server, section, want string) error {
	info, err := server.Client.Info(ctx, section).Result()
	if err == nil && !strings.Contains(info, want) {
		err = fmt.Errorf("%s has no %s in\n%s", server.Addr, want, info)
	}
	return err
}
