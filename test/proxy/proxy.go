// Package proxy is a TCP proxy before a Redis server that knows where commands
// and replies begin and end, so that a test can lose, delay, repeat or truncate
// just one of them. It speaks no TLS.
//
// Each connection has two halves, one for each direction. A half reads message
// by message, asks the rule what to do, and queues the message for its writer,
// which delivers in order. So a held or delayed message holds up what is behind
// it, as it would in a network, but not the sender.
package proxy

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/test/loopback"
)

// Proxy stands before one server. Its methods are safe for concurrent use, also
// from within a rule.
type Proxy struct {
	Addr string // where clients connect
	Port int

	target string
	rule   atomic.Pointer[func(Message) Action]
	delays [2]atomic.Int64 // by Direction, in nanoseconds
	tasks  sync.WaitGroup  // every goroutine of the proxy; joined by close

	ruleMu sync.Mutex // one message at a time asks the rule
	seen   [2]int     // by Direction; guarded by ruleMu

	mu       sync.Mutex
	listener net.Listener       // guarded by mu; nil while down
	conns    map[*conn]struct{} // open connections; guarded by mu
	accepted int                // guarded by mu
	commands []string           // names, in order; guarded by mu
	gate     chan struct{}      // closed by Release; guarded by mu
}

// Start starts a proxy before the server at target. It ends with the test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	port := loopback.Port()
	p := &Proxy{
		Addr:   loopback.Addr(port),
		Port:   port,
		target: target,
		conns:  map[*conn]struct{}{},
		gate:   make(chan struct{}),
	}
	if err := p.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// Handle sets the rule that decides about each message, one at a time. A nil
// rule passes everything. Messages that were read before keep their action.
func (p *Proxy) Handle(rule func(Message) Action) {
	if rule == nil {
		p.rule.Store(nil)
		return
	}
	p.rule.Store(&rule)
}

// Delay makes messages in a direction arrive later by d from now on.
func (p *Proxy) Delay(direction Direction, d time.Duration) {
	p.delays[direction].Store(int64(d))
}

// Release delivers what is held, in order.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.gate)
	p.gate = make(chan struct{})
}

// Silence makes every connection that is open now half-open: both sides believe
// in it, and nothing passes any more, its end included. New connections work.
func (p *Proxy) Silence() {
	for _, c := range p.open() {
		c.silent[ToServer].Store(true)
		c.silent[ToClient].Store(true)
	}
}

// Reset ends every connection with RST.
func (p *Proxy) Reset() {
	for _, c := range p.open() {
		c.reset()
	}
}

// Down refuses connections and resets those that are open, until Up.
func (p *Proxy) Down() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.mu.Unlock()
	p.Reset()
}

// Up accepts connections again. It can be called by any goroutine.
func (p *Proxy) Up(t testing.TB) {
	t.Helper()
	if err := p.listen(); err != nil {
		t.Error(err)
	}
}

// Commands are the names of all commands that clients have sent, in order.
func (p *Proxy) Commands() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.commands)
}

// Count returns how many commands called name clients have sent.
func (p *Proxy) Count(name string) int {
	n := 0
	for _, command := range p.Commands() {
		if command == name {
			n++
		}
	}
	return n
}

// Conns returns how many connections are open.
func (p *Proxy) Conns() int { return len(p.open()) }

func (p *Proxy) open() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c)
	}
	return conns
}

func (p *Proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return err
	}
	p.listener = listener
	p.tasks.Go(func() { p.accept(listener) })
	return nil
}

// accept ends when the listener is closed.
func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			// The nearest to a refusal that is left.
			_ = client.(*net.TCPConn).SetLinger(0)
			_ = client.Close()
			continue
		}
		p.serve(listener, client.(*net.TCPConn), server.(*net.TCPConn))
	}
}

func (p *Proxy) serve(listener net.Listener, client, server *net.TCPConn) {
	c := &conn{proxy: p, client: client, server: server, ended: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != listener { // Down came between accepting and now
		c.reset()
		return
	}
	p.accepted++
	c.number = p.accepted
	p.conns[c] = struct{}{}
	p.tasks.Go(func() {
		c.run()
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	})
}

// decide asks the rule and keeps the books.
func (p *Proxy) decide(m *Message) Action {
	p.ruleMu.Lock()
	defer p.ruleMu.Unlock()
	p.seen[m.Direction]++
	m.N = p.seen[m.Direction]
	if m.Direction == ToServer {
		p.mu.Lock()
		p.commands = append(p.commands, m.Name)
		p.mu.Unlock()
	}
	if rule := p.rule.Load(); rule != nil {
		return (*rule)(*m)
	}
	return Pass
}

// held is closed by the next Release.
func (p *Proxy) held() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate
}

func (p *Proxy) close() {
	p.Down()
	p.tasks.Wait()
}
