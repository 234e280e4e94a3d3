package integration

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/internal/scripts"
	"github.com/redlock-go/redlock/test/proxy"
)

// wire is what the clients of a quorum send to its nodes, as proxies see it.
type wire struct {
	proxies []*proxy.Proxy

	mu   sync.Mutex
	sent []sending // on all nodes, in order of arrival; guarded by mu
}

// sending is one command to one node.
type sending struct {
	node int
	at   time.Time
	args []string
}

// tap puts proxies before the nodes of q that keep what managers made from now on
// send.
func tap(t testing.TB, q *Quorum) *wire {
	t.Helper()
	w := &wire{proxies: q.Proxies(t)}
	for i, p := range w.proxies {
		p.Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToServer {
				w.keep(i, m.Args)
			}
			return proxy.Pass
		})
	}
	return w
}

func (w *wire) keep(node int, args []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, sending{node, time.Now(), slices.Clone(args)})
}

// about are the commands that name key.
func (w *wire) about(key string) []sending {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []sending
	for _, s := range w.sent {
		if slices.Contains(s.args, key) {
			found = append(found, s)
		}
	}
	return found
}

// show reports whether any command has text in it.
func (w *wire) show(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.sent, func(s sending) bool {
		return slices.ContainsFunc(s.args, func(arg string) bool { return strings.Contains(arg, text) })
	})
}

// attempt is one try of a call: the acquires that have its token.
type attempt struct {
	token string
	at    []time.Time // when a node was asked, in order
}

// attempts are the tries for key, in order. Each that was judged is here, since
// a majority has been asked by then. The other nodes may have been spared.
func (w *wire) attempts(key string) []attempt {
	var tries []attempt
	for _, s := range w.about(key) {
		if !acquires(s.args) {
			continue
		}
		token := s.args[2]
		if s.args[0] != "SET" {
			token = s.args[4]
		}
		i := slices.IndexFunc(tries, func(a attempt) bool { return a.token == token })
		if i < 0 {
			i = len(tries)
			tries = append(tries, attempt{token: token})
		}
		tries[i].at = append(tries[i].at, s.at)
	}
	return tries
}

// pauses are the times between the tries for key on three nodes: from when a
// majority had been asked, since the try was not over before, until any node was
// asked again. So none of them is less than the pause that was made.
func (w *wire) pauses(key string) []time.Duration {
	tries := w.attempts(key)
	var all []time.Duration
	for i := 1; i < len(tries); i++ {
		all = append(all, tries[i].at[0].Sub(tries[i-1].at[1]))
	}
	return all
}

// extends are the TTLs, in milliseconds, that nodes were asked to keep key for.
func (w *wire) extends(key string) []string {
	var asked []string
	for _, s := range w.about(key) {
		if calls(s.args, scripts.Extend) {
			asked = append(asked, s.args[5])
		}
	}
	return asked
}

// down makes nodes refuse connections.
func down(proxies ...*proxy.Proxy) {
	for _, p := range proxies {
		p.Down()
	}
}

// mute makes nodes accept everything and answer nothing.
func mute(proxies ...*proxy.Proxy) {
	for _, p := range proxies {
		p.Handle(func(proxy.Message) proxy.Action { return proxy.Hold })
	}
}

// heal makes nodes work again that are down or mute. What they kept back is lost.
func heal(t testing.TB, proxies ...*proxy.Proxy) {
	t.Helper()
	for _, p := range proxies {
		p.Handle(nil)
		p.Down()
		p.Up(t)
	}
}
