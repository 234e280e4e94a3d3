package integration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// mishap is what happens to one command or to its reply on the way.
type mishap struct {
	name      string
	direction proxy.Direction
	decide    func(m proxy.Message) proxy.Action
}

var mishaps = func() []mishap {
	always := func(a proxy.Action) func(proxy.Message) proxy.Action {
		return func(proxy.Message) proxy.Action { return a }
	}
	all := []mishap{
		{"reply reset", proxy.ToClient, always(proxy.Reset)},
		{"replies lost from here on", proxy.ToClient, always(proxy.Silence)},
		{"reply of zeros", proxy.ToClient, garble(func(raw []byte) { clear(raw) })},
		{"reply of no type", proxy.ToClient, garble(func(raw []byte) { raw[0] = '?' })},
		{"reply of no value", proxy.ToClient, garble(func(raw []byte) { raw[1] = '-' })},
		{"command reset", proxy.ToServer, always(proxy.Reset)},
		{"commands lost from here on", proxy.ToServer, always(proxy.Silence)},
		{"command cut at its first byte", proxy.ToServer, always(proxy.Cut(1))},
		{"command cut in its middle", proxy.ToServer, func(m proxy.Message) proxy.Action {
			return proxy.Cut(len(m.Raw) / 2)
		}},
	}
	// The shorter of the replies is ":1" and the end of the line, the longer "+OK".
	for at := range len(":1\r\n") {
		all = append(all, mishap{fmt.Sprintf("reply cut at byte %d", at), proxy.ToClient, always(proxy.Cut(at))})
	}
	return append(all, mishap{"reply cut before its last byte", proxy.ToClient, func(m proxy.Message) proxy.Action {
		return proxy.Cut(len(m.Raw) - 1)
	}})
}()

// garble changes bytes of a message that is passed on.
func garble(change func(raw []byte)) func(proxy.Message) proxy.Action {
	return func(m proxy.Message) proxy.Action {
		change(m.Raw)
		return proxy.Pass
	}
}

// strike makes the mishap happen to the next message of the given name.
func (h mishap) strike(p *proxy.Proxy, name string) {
	var struck atomic.Bool
	p.Handle(func(m proxy.Message) proxy.Action {
		if m.Direction == h.direction && m.Name == name && struck.CompareAndSwap(false, true) {
			return h.decide(m)
		}
		return proxy.Pass
	})
}

// question is a call and the command that carries it.
type question struct {
	name, command string
	ask           func(ctx context.Context, held *redlock.Lock, m *redlock.Manager, free string) error
}

var questions = []question{
	{"TryLock", "SET", func(ctx context.Context, _ *redlock.Lock, m *redlock.Manager, free string) error {
		_, err := m.TryLock(ctx, free)
		return err
	}},
	{"Extend", "EVALSHA", func(ctx context.Context, held *redlock.Lock, _ *redlock.Manager, _ string) error {
		return held.Extend(ctx, 0)
	}},
	{"IsLocked", "EXISTS", func(_ context.Context, held *redlock.Lock, m *redlock.Manager, _ string) error {
		return checkLocked(m, held.Resource(), true)
	}},
	{"Unlock", "EVALSHA", func(ctx context.Context, held *redlock.Lock, _ *redlock.Manager, _ string) error {
		return held.Unlock(ctx)
	}},
}

func TestAMessageThatIsBrokenOrLostCostsAVoteAndLeavesNoKey(t *testing.T) {
	t.Parallel()
	for _, question := range questions {
		t.Run(question.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				for _, mishap := range mishaps {
					t.Run(mishap.name, func(t *testing.T) { question.survives(t, q, mishap) })
				}
			})
		})
	}
}

// survives asks the question while the mishap strikes one node, and then two.
func (question question) survives(t *testing.T, shared *Quorum, mishap mishap) {
	q := quorumOf(shared.Kind, shared.Servers)
	proxies := q.Proxies(t)
	for struck := 1; struck <= 2; struck++ {
		m := newConnected(t, q, redlock.Config{NodeTimeout: 500 * time.Millisecond, TTL: 30 * time.Second})
		held, free := mustTry(t, m, q.Resource(t)), q.Resource(t)
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
		for _, p := range proxies[:struck] {
			mishap.strike(p, question.command)
		}
		err := question.ask(t.Context(), held, m, free)
		switch {
		case struck == 1 && err != nil:
			t.Errorf("a minority is struck, and the call returned %v", err)
		case struck == 2:
			wantNoQuorumOf(t, question.name, err, q, 0, 1)
			q.WantFree(t, free, 5*time.Second)
			eventually(t, 5*time.Second, func() error { return question.ask(t.Context(), held, m, free) })
		}
		if err := held.Unlock(t.Context()); err != nil && !errors.Is(err, redlock.ErrReleased) {
			t.Errorf("unlocking: %v", err)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Errorf("closing: %v", err)
		}
		q.WantFree(t, held.Resource(), time.Second)
		q.WantFree(t, free, time.Second)
	}
}

func TestCommandsThatArriveTwiceChangeNothing(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, p := range q.Proxies(t) {
			p.Handle(func(m proxy.Message) proxy.Action {
				if m.Direction == proxy.ToServer {
					return proxy.Repeat
				}
				return proxy.Pass
			})
		}
		m := q.New(t, redlock.Config{})
		held := mustTry(t, m, q.Resource(t))
		wantAllWorks(t, m, held, 10*time.Second)
		given := mustTry(t, m, q.Resource(t), redlock.WithToken("mine"))
		mustUnlock(t, given)
		q.WantFree(t, held.Resource(), time.Second)
		q.WantFree(t, given.Resource(), time.Second)
	})
}

func TestRepliesThatArriveTwiceEndTheConnectionAndCostAMinority(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		p := q.Proxies(t)[0]
		m := q.New(t, redlock.Config{})
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
		twice := mishap{"", proxy.ToClient, func(proxy.Message) proxy.Action { return proxy.Repeat }}
		twice.strike(p, "EVALSHA")
		wantAllWorks(t, m, held, 10*time.Second)
		wantVoteOf(t, q, m, q.Servers[0], comingBack)
		if n := p.Count("HELLO"); n < 2 {
			t.Error("the connection that is out of step is still used")
		}
		q.WantFree(t, held.Resource(), 5*time.Second)
	})
}

// Every connection but the last has one more reply of its beginning cut: the
// first one the first reply, and so on.
func TestAHandshakeThatIsCutAnywhereIsMadeAgain(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		p := q.Proxies(t)[0]
		replies := map[int]int{} // by connection
		p.Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToServer || m.Name == "SET" {
				return proxy.Pass
			}
			if replies[m.Conn]++; replies[m.Conn] == m.Conn {
				return proxy.Cut(len(m.Raw) / 2)
			}
			return proxy.Pass
		})
		m := q.New(t, redlock.Config{})
		lock := mustTry(t, m, q.Resource(t))
		wantAllWorks(t, m, lock, 10*time.Second)
		wantVoteOf(t, q, m, q.Servers[0], 30*time.Second)
		if n := p.Count("HELLO"); n < 5 {
			t.Errorf("only %d handshakes came as far as HELLO", n)
		}
	})
}
