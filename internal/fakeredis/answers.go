package fakeredis

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// answer answers the commands that miniredis lacks, or whose answer depends on
// what the node pretends to be. It reports whether name is one of them.
func (n *Node) answer(s *session, peer *server.Peer, name string, args []string) bool {
	switch name {
	case "AUTH":
		n.auth(s, peer, args)
	case "CLIENT":
		n.client(s, peer, args)
	case "HELLO":
		n.hello(s, peer, args)
	case "INFO":
		peer.WriteBulk(fmt.Sprintf("# Server\r\nredis_version:%s\r\nredis_mode:%s\r\nrun_id:%s\r\n"+
			"\r\n# Replication\r\nrole:%s\r\n", version, n.mode, n.runID, n.role))
	case "ROLE":
		if n.role == "master" {
			peer.WriteRaw("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n")
		} else {
			peer.WriteRaw("*5\r\n$5\r\nslave\r\n$12\r\n10.255.255.1\r\n:6379\r\n$9\r\nconnected\r\n:0\r\n")
		}
	case "WAIT":
		n.wait(s, peer, args)
	default:
		return n.pubsub(s, peer, name, args)
	}
	return true
}

func (n *Node) auth(s *session, peer *server.Peer, args []string) {
	if len(args) == 1 {
		args = []string{"default", args[0]}
		if n.users["default"] == "" {
			peer.WriteError("ERR AUTH <password> called without any password configured for the default user. " +
				"Are you sure your configuration is correct?")
			return
		}
	}
	if len(args) != 2 {
		peer.WriteError("ERR syntax error")
		return
	}
	if n.login(s, peer, args[0], args[1]) {
		peer.WriteOK()
	}
}

func (n *Node) login(s *session, peer *server.Peer, user, password string) bool {
	wanted, known := n.users[user]
	known = known || user == "default"
	if !known || wanted != "" && wanted != password {
		peer.WriteError("WRONGPASS invalid username-password pair or user is disabled.")
		return false
	}
	s.authenticated = true
	return true
}

func (n *Node) hello(s *session, peer *server.Peer, args []string) {
	if len(args) > 0 && args[0] != "2" {
		peer.WriteError("NOPROTO unsupported protocol version")
		return
	}
	for i := 1; i < len(args); i++ {
		switch option := strings.ToUpper(args[i]); {
		case option == "AUTH" && i+2 < len(args):
			if !n.login(s, peer, args[i+1], args[i+2]) {
				return
			}
			i += 2
		case option == "SETNAME" && i+1 < len(args):
			s.name = args[i+1]
			i++
		default:
			peer.WriteError(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", args[i]))
			return
		}
	}
	if !s.authenticated {
		peer.WriteError("NOAUTH HELLO must be called with the client already authenticated, " +
			"otherwise the HELLO <proto> AUTH <user> <pass> option can be used")
		return
	}
	n.greet(s, peer)
}

// version is what the node says it is.
const version = "7.4.0"

func (n *Node) greet(s *session, peer *server.Peer) {
	role := n.role
	if role == "slave" {
		role = "replica" // HELLO says so, ROLE does not
	}
	greeting := []any{"server", "redis", "version", version, "proto", 2, "id", s.id,
		"mode", n.mode, "role", role, "modules"}
	peer.WriteLen(len(greeting) + 1)
	for _, value := range greeting {
		switch value := value.(type) {
		case string:
			peer.WriteBulk(value)
		case int:
			peer.WriteInt(value)
		}
	}
	peer.WriteLen(0)
}

// wait answers WAIT replicas timeout: it blocks its connection until so many
// have confirmed, or the timeout has passed.
func (n *Node) wait(s *session, peer *server.Peer, args []string) {
	var wanted, ms int
	if _, err := fmt.Sscan(strings.Join(args, " "), &wanted, &ms); err != nil || len(args) != 2 || ms < 0 {
		peer.WriteError("ERR timeout is not an integer or out of range")
		return
	}
	timeout := time.Duration(ms) * time.Millisecond
	switch {
	case n.replicas >= wanted && (ms == 0 || n.replication <= timeout):
		s.blocked = n.replication
		peer.WriteInt(n.replicas)
	case ms == 0:
		s.blocked = -1
	default:
		s.blocked = timeout
		peer.WriteInt(min(n.replicas, wanted-1))
	}
}

func (n *Node) client(s *session, peer *server.Peer, args []string) {
	command := ""
	if len(args) > 0 {
		command = strings.ToUpper(args[0])
	}
	switch {
	case command == "ID":
		peer.WriteInt(s.id)
	case command == "SETINFO" && len(args) == 3:
		peer.WriteOK()
	case command == "SETNAME" && len(args) == 2:
		s.name = args[1]
		peer.WriteOK()
	case command == "GETNAME":
		peer.WriteBulk(s.name)
	case command == "LIST":
		peer.WriteBulk(n.listClients(args[1:]))
	case command == "KILL" && len(args) == 3 && strings.EqualFold(args[1], "ID"):
		peer.WriteInt(n.killClient(s, args[2]))
	default:
		peer.WriteError("ERR unknown subcommand or wrong number of arguments for '" + command + "'. Try CLIENT HELP.")
	}
}

// listClients lists all clients, or those of ID id ...
func (n *Node) listClients(args []string) string {
	var list strings.Builder
	for _, s := range n.openSessions() {
		if len(args) > 0 && !slices.Contains(args[1:], strconv.Itoa(s.id)) {
			continue
		}
		fmt.Fprintf(&list, "id=%d addr=%s laddr=%s name=%s\n", s.id, s.conn.local, n.address, s.name)
	}
	return list.String()
}

// killClient closes a client's connection and returns how many that were. What
// it had sent and was not executed never will be. A client spares itself.
func (n *Node) killClient(self *session, id string) int {
	for _, s := range n.openSessions() {
		if s != self && strconv.Itoa(s.id) == id {
			n.hangUp(s, io.EOF)
			return 1
		}
	}
	return 0
}
