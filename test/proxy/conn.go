package proxy

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one client's connection and its twin to the server.
type conn struct {
	proxy          *Proxy
	number         int
	client, server *net.TCPConn
	silent         [2]atomic.Bool // by Direction

	endOnce sync.Once
	ended   chan struct{} // closed by end

	mu     sync.Mutex
	unread []request // commands whose replies have not come; guarded by mu
}

// request is a command that the server has to answer.
type request struct {
	name   string
	unseen bool // the client does not know of it: its reply is dropped
}

// parcel is a message on its way to the writer.
type parcel struct {
	raw    []byte
	due    time.Time
	action Action
	gate   <-chan struct{} // of a held message
}

// queued is how many messages a half keeps: more than any test holds back.
const queued = 4096

// run returns when both halves are done.
func (c *conn) run() {
	var halves sync.WaitGroup
	for direction, ends := range [][2]*net.TCPConn{{c.client, c.server}, {c.server, c.client}} {
		parcels := make(chan parcel, queued)
		halves.Go(func() { c.read(Direction(direction), ends[0], parcels) })
		halves.Go(func() { c.write(Direction(direction), parcels, ends[0], ends[1]) })
	}
	halves.Wait()
	c.end()
}

// read queues what comes from one side until that side ends.
func (c *conn) read(direction Direction, from *net.TCPConn, parcels chan<- parcel) {
	defer close(parcels)
	r := bufio.NewReader(from)
	for {
		raw, err := readMessage(r)
		if err != nil {
			return
		}
		m := Message{Direction: direction, Conn: c.number, Raw: raw}
		if !c.name(&m) {
			continue
		}
		gate := c.proxy.held() // before it is decided: a Release that comes meanwhile counts
		action := c.proxy.decide(&m)
		c.expect(m, action)
		due := time.Now().Add(time.Duration(c.proxy.delays[direction].Load()))
		select {
		case parcels <- parcel{raw: raw, due: due, action: action, gate: gate}:
		case <-c.ended:
			return
		}
	}
}

// name fills in what the message is called. It is false for a reply that the
// client must not see.
func (c *conn) name(m *Message) bool {
	if m.Direction == ToServer {
		m.Args = arguments(m.Raw)
		if len(m.Args) > 0 {
			m.Name = strings.ToUpper(m.Args[0])
		}
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Raw[0] == '>' || len(c.unread) == 0 { // a push, such as a published message
		return true
	}
	answered := c.unread[0]
	c.unread = c.unread[1:]
	m.Name = answered.name
	return !answered.unseen
}

// expect remembers which replies will come of a command.
func (c *conn) expect(m Message, action Action) {
	if m.Direction != ToServer || action.kind == drop {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread = append(c.unread, request{name: m.Name})
	if action.kind == repeat {
		c.unread = append(c.unread, request{name: m.Name, unseen: true})
	}
}

// write delivers what read has queued, in order, and then the end of the
// connection.
func (c *conn) write(direction Direction, parcels <-chan parcel, from, to *net.TCPConn) {
	for p := range parcels {
		if !c.wait(p) {
			return
		}
		if p.action.kind == silence {
			c.silent[direction].Store(true)
		}
		if c.silent[direction].Load() {
			continue
		}
		switch p.action.kind {
		case drop:
		case reset:
			c.reset()
		case cut:
			_, _ = to.Write(p.raw[:min(p.action.bytes, len(p.raw))])
			_ = to.CloseWrite()
			_ = from.SetLinger(0)
			c.end()
		case repeat:
			_, _ = to.Write(p.raw)
			_, _ = to.Write(p.raw)
		default:
			_, _ = to.Write(p.raw)
		}
	}
	if c.silent[direction].Load() {
		<-c.ended
		return
	}
	_ = to.CloseWrite()
}

// wait returns when p may be delivered; false if the connection ends before.
func (c *conn) wait(p parcel) bool {
	timer := time.NewTimer(time.Until(p.due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ended:
		return false
	}
	if p.action.kind != hold {
		return true
	}
	select {
	case <-p.gate:
		return true
	case <-c.ended:
		return false
	}
}

// reset ends the connection with RST to both sides.
func (c *conn) reset() {
	_ = c.client.SetLinger(0)
	_ = c.server.SetLinger(0)
	c.end()
}

func (c *conn) end() {
	c.endOnce.Do(func() {
		close(c.ended)
		_ = c.client.Close()
		_ = c.server.Close()
	})
}
