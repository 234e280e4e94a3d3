package fakeredis

import (
	"io"
	"strings"
	"syscall"
	"time"
)

// Command is one that a node has received.
type Command struct {
	Conn int    // the client's id
	Name string // in capitals
	Args []string
}

// Action is what becomes of a command. The zero value lets it pass. What waits
// holds up the commands behind it on its connection, and no others.
type Action struct {
	Delay     time.Duration   // it waits so long,
	Until     <-chan struct{} // and from when this is closed
	Cut       bool            // the connection is reset, and nothing executed
	Drop      bool            // it is lost, and all behind it on its connection
	Reply     string          // these bytes are sent, and nothing executed
	DropReply bool            // its reply is lost, and all behind it on its connection
	CutReply  bool            // the connection is reset after CutAt bytes of the reply
	CutAt     int
}

// take asks the test about a command and does as it says.
func (n *Node) take(s *session, args []string) {
	cmd := Command{Conn: s.id, Name: strings.ToUpper(args[0]), Args: args[1:]}
	a := n.ask(cmd)
	if !s.open {
		return
	}
	s.next = func() { n.apply(s, cmd, a) }
	if a.Delay > 0 || a.Until != nil {
		n.park(s, a.Delay, a.Until)
	}
}

// ask calls the test's functions, without the node's mu.
func (n *Node) ask(cmd Command) Action {
	decide := n.onCommand
	n.mu.Unlock()
	defer n.mu.Lock()
	n.net.announce()
	if decide == nil {
		return Action{}
	}
	return decide(cmd)
}

// park has s do nothing until then, and for d.
func (n *Node) park(s *session, d time.Duration, until <-chan struct{}) {
	s.parked = true
	if until == nil {
		time.AfterFunc(d, func() { n.unpark(s) })
		return
	}
	n.tasks.Go(func() {
		select {
		case <-until:
			if d > 0 {
				time.AfterFunc(d, func() { n.unpark(s) })
			} else {
				n.unpark(s) // not by a timer, see deadline.set
			}
		case <-n.done:
		}
	})
}

func (n *Node) unpark(s *session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s.parked = false
	n.arrivals = append(n.arrivals, arrival{session: s})
	n.changed.Broadcast()
}

func (n *Node) apply(s *session, cmd Command, a Action) {
	switch {
	case a.Cut:
		n.hangUp(s, syscall.ECONNRESET)
		return
	case a.Drop:
		s.deaf = true
		return
	}
	reply := a.Reply
	if reply == "" {
		reply = n.execute(s, cmd)
	}
	s.next = func() { n.reply(s, reply, a) }
	if s.blocked > 0 {
		n.park(s, s.blocked, nil)
	}
	s.parked = s.blocked != 0
	s.blocked = 0
}

// announce tells the test, without the node's mu, that s is about to be sent
// something. It reports whether s is still open then.
func (n *Node) announce(s *session) bool {
	n.mu.Unlock()
	n.net.announce()
	n.mu.Lock()
	return s.open
}

func (n *Node) reply(s *session, reply string, a Action) {
	if !n.announce(s) {
		return
	}
	if a.CutReply {
		reply = reply[:min(a.CutAt, len(reply))]
	}
	s.down.send(packet{data: []byte(reply), lost: a.DropReply})
	switch {
	case a.CutReply:
		n.hangUp(s, syscall.ECONNRESET)
	case s.peer.Closed():
		n.hangUp(s, io.EOF)
	}
}
