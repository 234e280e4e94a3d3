package fakeredis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
)

// push is a message on its way to a subscriber. The node's thread sends it, and
// that before anything else: a subscriber, which cannot publish, is sent all in
// the order in which it came about.
type push struct {
	session *session
	data    []byte
}

// pubsub answers the commands of publish and subscribe. It reports whether this
// is one: what is wrong with one that is not well-formed, or has no place in a
// script, miniredis says.
func (n *Node) pubsub(s *session, peer *server.Peer, name string, args []string) bool {
	direct := peer == s.peer
	switch {
	case name == "PUBLISH":
		return n.publish(peer, args)
	case name == "SUBSCRIBE" && direct && len(args) > 0:
		n.subscribe(s, args)
	case name == "UNSUBSCRIBE" && direct:
		n.unsubscribe(s, args)
	case name == "PING" && len(s.channels) > 0 && len(args) < 2:
		peer.WriteStrings([]string{"pong", strings.Join(args, "")})
	default:
		return false
	}
	return true
}

func (n *Node) subscribe(s *session, channels []string) {
	for _, channel := range channels {
		if !slices.Contains(s.channels, channel) {
			s.channels = append(s.channels, channel)
			n.subscribers[channel] = append(n.subscribers[channel], s)
		}
		s.acknowledge("subscribe", channel)
	}
}

// unsubscribe without channels ends all subscriptions. It has an answer also
// where there is none.
func (n *Node) unsubscribe(s *session, channels []string) {
	if len(channels) == 0 {
		channels = slices.Clone(s.channels)
	}
	for _, channel := range channels {
		n.leave(s, channel)
		s.acknowledge("unsubscribe", channel)
	}
	if len(channels) == 0 {
		s.peer.WriteRaw("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n")
	}
}

func (s *session) acknowledge(what, channel string) {
	s.peer.WriteLen(3)
	s.peer.WriteBulk(what)
	s.peer.WriteBulk(channel)
	s.peer.WriteInt(len(s.channels))
}

func (n *Node) leave(s *session, channel string) {
	s.channels = slices.DeleteFunc(s.channels, func(c string) bool { return c == channel })
	left := slices.DeleteFunc(n.subscribers[channel], func(other *session) bool { return other == s })
	n.subscribers[channel] = left
	if len(left) == 0 {
		delete(n.subscribers, channel)
	}
}

// publish answers PUBLISH channel payload, of a script or of a test too, with
// the number of receivers.
func (n *Node) publish(peer *server.Peer, args []string) bool {
	if len(args) != 2 {
		return false
	}
	channel, payload := args[0], args[1]
	message := fmt.Appendf(nil, "*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
		len(channel), channel, len(payload), payload)
	for _, s := range n.subscribers[channel] {
		n.pushes = append(n.pushes, push{s, message})
	}
	n.changed.Broadcast()
	peer.WriteInt(len(n.subscribers[channel]))
	return true
}

// push sends the first message in line, or loses it.
func (n *Node) push() {
	p := n.pushes[0]
	n.pushes = n.pushes[1:]
	if p.session.open && n.announce(p.session) && !n.mute {
		p.session.down.send(packet{data: p.data})
	}
}
