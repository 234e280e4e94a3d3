package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/test/servers"
)

// named gives each node of q a name in a name server of the test's own, and
// returns the nodes by these names. A package cannot be given a name server, a
// process can.
func named(t *testing.T, q *Quorum, addresses ...string) (s *nameServer, nodes []string) {
	t.Helper()
	s = startNameServer(t)
	for i, node := range q.Nodes {
		name := fmt.Sprintf("node%d.redlock.test", i)
		s.set(name, addresses...)
		nodes = append(nodes, fmt.Sprintf("redis://%s:%d", name, node.Port))
	}
	return s, nodes
}

func TestOfSeveralAddressesOfANodeOneThatAnswersIsUsed(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		// Nobody listens on the first two.
		s, nodes := named(t, q, "127.0.0.3", "127.0.0.2", "127.0.0.1")
		h, resource := startHolder(t, s.Addr, nodes...), q.Resource(t)
		lock := h.must(t, order{Do: "TryLock", Resource: resource, TTL: time.Minute})
		q.WantEverywhere(t, resource, lock.Token, 2*time.Second)
		if s.questions() == 0 {
			t.Error("the name server was not asked: nothing is shown")
		}
		h.must(t, order{Do: "Unlock"})
		q.WantFree(t, resource, time.Second)
	})
}

// A name is asked for where a connection is made, and nowhere else.
func TestANameServerThatFailsCostsTheVotesOfNodesThatAreConnectedToAnew(t *testing.T) {
	t.Parallel()
	for way, silent := range map[string]bool{"says that it has failed": false, "says nothing": true} {
		t.Run(way, func(t *testing.T) {
			rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
				s, nodes := named(t, q, "127.0.0.1")
				h, resource := startHolder(t, s.Addr, nodes...), q.Resource(t)
				held := h.must(t, order{Do: "TryLock", Resource: resource, TTL: time.Minute})
				q.WantEverywhere(t, resource, held.Token, 2*time.Second)
				s.become(!silent, silent)
				h.must(t, order{Do: "Extend"})

				killConnections(t, q.Servers[0])
				eventually(t, 5*time.Second, asked(s))
				h.must(t, order{Do: "Extend"}) // two nodes are a majority
				h.must(t, order{Do: "IsHeld"})

				killConnections(t, q.Servers[1])
				var a account
				eventually(t, 10*time.Second, func() error {
					if a = h.do(t, order{Do: "Extend"}); a.Error == "" {
						return errors.New("it is extended")
					}
					return nil
				})
				wantMatches(t, "Extend", a, "ErrNoQuorum")
				if !a.Valid {
					t.Errorf("the lock is over: %+v", a)
				}
				for _, node := range nodes[:2] {
					if name := strings.TrimPrefix(node, "redis://"); !strings.Contains(a.Error, name) {
						t.Errorf("got %q, want it to name %s", a.Error, name)
					}
				}
				stranger := startHolder(t, s.Addr, nodes...)
				a = stranger.do(t, order{Do: "TryLock", Resource: q.Resource(t), TTL: time.Minute})
				wantMatches(t, "TryLock of a new one", a, "ErrNoQuorum")
				if !silent && !strings.Contains(a.Error, "lookup") {
					t.Errorf("got %q, want it to say that the name was not found", a.Error)
				}

				s.become(false, false)
				eventually(t, 15*time.Second, func() error {
					if a := h.do(t, order{Do: "Extend"}); a.Error != "" {
						return errors.New(a.Error)
					}
					return nil
				})
				h.must(t, order{Do: "Unlock"})
				q.WantFree(t, resource, 10*time.Second)
			})
		})
	}
}

// asked is a check that the name server was asked.
func asked(s *nameServer) func() error {
	return func() error {
		if s.questions() == 0 {
			return errors.New("the name server was not asked")
		}
		return nil
	}
}

func TestTheNameServerOfTheTestsAnswers(t *testing.T) {
	s := startNameServer(t)
	s.set("a.test", "127.0.0.2", "127.0.0.1")
	question := slices.Concat([]byte{7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, []byte("\x01a\x04test\x00\x00\x01\x00\x01"))
	got := s.reply(question)
	if len(got) != len(question)+2*16 || got[3]&0xf != 0 || got[7] != 2 || got[len(got)-1] != 1 {
		t.Errorf("got %v", got)
	}
	s.become(true, false)
	if got := s.reply(question); got[3]&0xf != dnsFailure {
		t.Errorf("got %v", got)
	}
	s.become(false, true)
	if got := s.reply(question); got != nil {
		t.Errorf("got %v", got)
	}
}
