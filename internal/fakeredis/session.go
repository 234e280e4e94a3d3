package fakeredis

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// session is the node's end of a connection, and what the server knows about
// the client. All of it is guarded by the node's mu.
type session struct {
	id            int
	conn          *conn
	down          wire // to the client
	name          string
	authenticated bool
	channels      []string // it has subscribed to
	peer          *server.Peer
	out           bytes.Buffer // what peer writes
	open          bool
	inbox         []byte
	end           bool          // nothing comes behind inbox
	deaf          bool          // a command was lost, and all behind it
	next          func()        // to do before inbox is looked at
	parked        bool          // nothing is done yet
	blocked       time.Duration // how long the last command blocks; negative: for ever
	heard         time.Time
	timer         *time.Timer // of the idle timeout
}

// arrival is a packet in the node's kernel. An empty one lets a session go on
// that could not.
type arrival struct {
	session *session
	packet  packet
}

func newPeer(w io.Writer) *server.Peer { return server.NewPeer(bufio.NewWriter(w)) }

// accept makes both ends of a connection.
func (n *Node) accept(network string) *conn {
	n.lastID++
	c := &conn{
		n:       n,
		network: network,
		local:   fmt.Sprintf("127.0.0.1:%d", 40000+n.lastID),
		changed: sync.NewCond(&n.mu),
	}
	s := &session{id: n.lastID, conn: c, open: true}
	s.authenticated = n.users["default"] == ""
	s.peer = newPeer(&s.out)
	s.down = wire{n: n, route: &n.replies, arrive: c.arrive}
	c.up = wire{n: n, route: &n.requests, arrive: func(p packet) { n.arrive(s, p) }}
	full := n.maxClients > 0 && len(n.openSessions()) >= n.maxClients
	n.sessions = append(n.sessions, s)
	n.touch(s)
	if full {
		s.down.send(packet{data: []byte("-ERR max number of clients reached\r\n")})
		n.hangUp(s, io.EOF)
	}
	return c
}

func (n *Node) openSessions() []*session {
	return slices.DeleteFunc(slices.Clone(n.sessions), func(s *session) bool { return !s.open })
}

// touch begins the time of silence anew.
func (n *Node) touch(s *session) {
	s.heard = time.Now()
	if n.idle > 0 && s.timer == nil {
		s.timer = time.AfterFunc(n.idle, func() { n.expire(s) })
	}
}

func (n *Node) expire(s *session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := n.idle - time.Since(s.heard)
	switch {
	case n.idle == 0 || !s.open:
		s.timer = nil
	case left > 0:
		s.timer.Reset(left)
	case n.paused || len(s.channels) > 0: // subscribers may be silent
		s.timer.Reset(n.idle)
	default:
		n.hangUp(s, io.EOF)
	}
}

// hangUp closes the node's end.
func (n *Node) hangUp(s *session, end error) {
	if !s.open {
		return
	}
	s.open = false
	s.inbox, s.next = nil, nil
	for _, channel := range slices.Clone(s.channels) {
		n.leave(s, channel)
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.down.send(packet{end: end})
	n.sessions = slices.DeleteFunc(n.sessions, func(s *session) bool {
		return !s.open && s.conn.closed && len(s.conn.up.queue) == 0 && len(s.down.queue) == 0
	})
}

// arrive takes what the client has sent into the node's kernel.
func (n *Node) arrive(s *session, p packet) {
	if !s.open {
		if p.end == nil {
			s.down.send(packet{end: syscall.ECONNRESET})
		}
		return
	}
	n.arrivals = append(n.arrivals, arrival{s, p})
	n.changed.Broadcast()
}

// serve is the node's one thread.
func (n *Node) serve() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		for !n.closed && (n.paused || len(n.arrivals)+len(n.pushes) == 0) {
			n.changed.Wait()
		}
		if n.closed {
			return
		}
		if len(n.pushes) > 0 {
			n.push()
			continue
		}
		a := n.arrivals[0]
		n.arrivals = n.arrivals[1:]
		if s := a.session; s.open && !s.deaf {
			s.conn.unread -= len(a.packet.data)
			s.conn.changed.Broadcast()
			s.inbox = append(s.inbox, a.packet.data...)
			s.end = s.end || a.packet.end != nil
			n.work(s)
		}
	}
}

// work goes through what a session has brought.
func (n *Node) work(s *session) {
	for s.open && !s.deaf && !s.parked {
		if n.paused { // just now, by the test: the rest waits for Resume
			n.arrivals = slices.Insert(n.arrivals, 0, arrival{session: s})
			return
		}
		if len(n.pushes) > 0 { // before an UNSUBSCRIBE that is next
			n.push()
			continue
		}
		if next := s.next; next != nil {
			s.next = nil
			next()
			continue
		}
		args, used, err := parseCommand(s.inbox)
		if err != nil {
			s.down.send(packet{data: []byte("-ERR Protocol error\r\n")})
		}
		if err != nil || used == 0 && s.end {
			n.hangUp(s, io.EOF)
		}
		if used == 0 {
			return
		}
		s.inbox = s.inbox[used:]
		n.touch(s)
		if len(args) > 0 {
			n.take(s, args)
		}
	}
}
