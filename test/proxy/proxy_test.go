package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that answers each command with its name, and remembers what
// it was sent.
type echo struct {
	addr string

	mu  sync.Mutex
	got []string // guarded by mu; "EOF" where a client has ended
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{addr: listener.Addr().String()}
	var tasks sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		tasks.Wait()
	})
	tasks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() { e.serve(conn) })
		}
	})
	return e
}

func (e *echo) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		raw, err := readMessage(r)
		if err != nil {
			e.note("EOF")
			return
		}
		name := arguments(raw)[0]
		e.note(name)
		_, _ = fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(name), name)
	}
}

func (e *echo) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, what)
}

func (e *echo) received() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.got, " ")
}

// client is one connection through a proxy.
type client struct {
	t    *testing.T
	conn *net.TCPConn
	r    *bufio.Reader
}

func start(t *testing.T) (*Proxy, *echo, *client) {
	t.Helper()
	e := startEcho(t)
	p := Start(t, e.addr)
	return p, e, dial(t, p)
}

func dial(t *testing.T, p *Proxy) *client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, conn: conn.(*net.TCPConn), r: bufio.NewReader(conn)}
}

func (c *client) send(names ...string) {
	c.t.Helper()
	for _, name := range names {
		if _, err := fmt.Fprintf(c.conn, "*1\r\n$%d\r\n%s\r\n", len(name), name); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *client) receive() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	raw, err := readMessage(c.r)
	return strings.TrimSpace(string(raw[strings.IndexByte(string(raw), '\n')+1:])), err
}

func (c *client) want(names ...string) {
	c.t.Helper()
	for _, name := range names {
		if got, err := c.receive(); got != name || err != nil {
			c.t.Errorf("the reply is %q (%v), want %q", got, err, name)
		}
	}
}

// wantNothing looks at the connection for a moment only: it can miss what comes
// late, but reports nothing that is not so.
func (c *client) wantNothing() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("something came: %v", err)
	}
}

func (e *echo) want(t *testing.T, commands string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); e.received() != commands; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server got %q, want %q", e.received(), commands)
		}
	}
}

// on gives an action to the commands, or replies to a command, called name.
func on(direction Direction, name string, action Action) func(Message) Action {
	return func(m Message) Action {
		if m.Direction == direction && m.Name == name {
			return action
		}
		return Pass
	}
}

func TestMessagesPassInOrderAndAreCounted(t *testing.T) {
	p, _, c := start(t)
	c.send("set", "GET", "set")
	c.want("set", "GET", "set")
	if got := p.Commands(); !slices.Equal(got, []string{"SET", "GET", "SET"}) || p.Count("SET") != 2 {
		t.Errorf("commands: %v", got)
	}
	if p.Conns() != 1 {
		t.Errorf("%d connections", p.Conns())
	}
}

func TestARuleSeesNumbersNamesAndArguments(t *testing.T) {
	p, _, c := start(t)
	var seen []string
	p.Handle(func(m Message) Action {
		seen = append(seen, fmt.Sprintf("%v %d %d %s %q", m.Direction, m.Conn, m.N, m.Name, m.Args))
		return Pass
	})
	_, _ = c.conn.Write([]byte("*2\r\n$3\r\nset\r\n$4\r\na\r\nb\r\n"))
	c.want("set")
	want := []string{`to server 1 1 SET ["set" "a\r\nb"]`, `to client 1 1 SET []`}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

func TestADroppedCommandNeverArrives(t *testing.T) {
	p, e, c := start(t)
	p.Handle(on(ToServer, "SET", Drop))
	c.send("SET", "GET")
	c.want("GET")
	e.want(t, "GET")
}

func TestADroppedReplyLeavesTheCommandExecuted(t *testing.T) {
	p, e, c := start(t)
	p.Handle(on(ToClient, "SET", Drop))
	c.send("SET", "GET")
	c.want("GET")
	e.want(t, "SET GET")
}

func TestAHeldCommandHoldsUpWhatFollowsUntilItsRelease(t *testing.T) {
	p, e, c := start(t)
	p.Handle(on(ToServer, "SET", Hold))
	c.send("PING", "SET", "GET")
	c.want("PING")
	c.wantNothing()
	e.want(t, "PING")
	p.Release()
	c.want("SET", "GET")
}

func TestACommandIsNotHeldBeyondAReleaseThatComesWhileItIsDecided(t *testing.T) {
	p, e, c := start(t)
	p.Handle(func(m Message) Action {
		if m.Name != "SET" || m.Direction != ToServer {
			return Pass
		}
		p.Release()
		return Hold
	})
	c.send("SET")
	c.want("SET")
	e.want(t, "SET")
}

func TestAHeldCommandArrivesAfterItsSenderHasGone(t *testing.T) {
	p, e, c := start(t)
	p.Handle(on(ToServer, "SET", Hold))
	c.send("SET")
	for p.Count("SET") == 0 {
		time.Sleep(time.Millisecond)
	}
	_ = c.conn.Close()
	other := dial(t, p)
	other.send("DEL")
	other.want("DEL")
	p.Release()
	e.want(t, "DEL SET EOF")
}

func TestARepeatedCommandIsExecutedTwiceAndAnsweredOnce(t *testing.T) {
	p, e, c := start(t)
	p.Handle(on(ToServer, "SET", Repeat))
	c.send("SET", "GET")
	c.want("SET", "GET")
	e.want(t, "SET SET GET")
}

func TestARepeatedReplyComesTwice(t *testing.T) {
	p, _, c := start(t)
	p.Handle(on(ToClient, "SET", Repeat))
	c.send("SET", "GET")
	c.want("SET", "SET", "GET")
}

func TestAReplyIsCutAtEveryByte(t *testing.T) {
	const reply = "$3\r\nSET\r\n"
	for k := range len(reply) {
		p, _, c := start(t)
		p.Handle(on(ToClient, "SET", Cut(k)))
		c.send("SET")
		got, err := io.ReadAll(c.r)
		if string(got) != reply[:k] || err != nil {
			t.Errorf("cut at %d: %q, %v", k, got, err)
		}
	}
}

func TestAResetIsSeenByBothSides(t *testing.T) {
	p, e, c := start(t)
	p.Handle(on(ToServer, "SET", Reset))
	c.send("PING")
	c.want("PING")
	c.send("SET")
	if _, err := c.receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v", err)
	}
	e.want(t, "PING EOF")
}

func TestALossInOneDirectionLeavesTheOther(t *testing.T) {
	p, e, c := start(t)
	p.Handle(on(ToClient, "SET", Silence))
	c.send("SET", "GET")
	e.want(t, "SET GET")
	c.wantNothing()
}

func TestASilentConnectionStaysOpenForBothSides(t *testing.T) {
	p, e, c := start(t)
	c.send("PING")
	c.want("PING")
	p.Silence()
	c.send("SET")
	c.wantNothing()
	_ = c.conn.Close()

	other := dial(t, p)
	other.send("GET")
	other.want("GET")
	e.want(t, "PING GET") // no SET, and no end of the first connection
}

func TestADownProxyRefusesUntilItIsUp(t *testing.T) {
	p, _, c := start(t)
	c.send("PING")
	c.want("PING")
	p.Down()
	if _, err := c.receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the open connection sees %v", err)
	}
	if conn, err := net.Dial("tcp", p.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection sees %v %v", conn, err)
	}
	p.Up(t)
	again := dial(t, p)
	again.send("PING")
	again.want("PING")
}

func TestADelayKeepsTheOrder(t *testing.T) {
	for _, direction := range []Direction{ToServer, ToClient} {
		p, _, c := start(t)
		const delay = 100 * time.Millisecond
		p.Delay(direction, delay)
		begin := time.Now()
		c.send("SET")
		p.Handle(nil)
		c.send("GET")
		c.want("SET", "GET")
		if took := time.Since(begin); took < delay {
			t.Errorf("%v: took %v", direction, took)
		}
	}
}

func TestEveryKindOfValueIsOneMessage(t *testing.T) {
	for _, value := range []string{
		"+OK\r\n", "-ERR no\r\n", ":1\r\n", "$-1\r\n", "*-1\r\n", "$0\r\n\r\n", "_\r\n", "#t\r\n",
		"*0\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "%1\r\n+a\r\n+b\r\n", "~2\r\n:1\r\n:2\r\n",
		"=6\r\ntxt:ab\r\n", "!2\r\nno\r\n", ">1\r\n+a\r\n", "|1\r\n+a\r\n+b\r\n:1\r\n",
	} {
		r := bufio.NewReader(strings.NewReader(value + "+next\r\n"))
		for _, want := range []string{value, "+next\r\n"} {
			if got, err := readMessage(r); string(got) != want || err != nil {
				t.Errorf("read %q (%v), want %q", got, err, want)
			}
		}
	}
}
