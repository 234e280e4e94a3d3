package fakeredis

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
)

// maxLog bounds what a node remembers of its commands, for long simulations.
const maxLog = 1 << 14

// execute runs a command and returns its reply.
func (n *Node) execute(s *session, cmd Command) string {
	n.tick()
	n.current = s
	n.commands.Dispatch(s.peer, append([]string{cmd.Name}, cmd.Args...))
	n.current = nil
	s.peer.Flush()
	defer s.out.Reset()
	return scriptError(s.out.String())
}

// do runs a command of the test's own, which no fault concerns.
func (n *Node) do(args ...string) string {
	n.tick()
	var out bytes.Buffer
	peer := newPeer(&out)
	n.commands.Dispatch(peer, args)
	peer.Flush()
	return scriptError(out.String())
}

// tick moves the data to the node's time. Keys keep the moment at which they
// expire, also when the clock jumps back.
func (n *Node) tick() {
	now := n.clock.now()
	if passed := now.Sub(n.ticked); passed != 0 {
		n.ticked = now
		n.store.SetTime(now)
		n.store.FastForward(passed)
	}
}

// luaError is what miniredis makes of an error in a script.
var luaError = regexp.MustCompile(
	`^-ERR Error compiling script \(new function\): [^:]*:(\d+): (.*?)\s+stack traceback:`)

// scriptError words an error in a script as Redis does: first its code.
func scriptError(reply string) string {
	m := luaError.FindStringSubmatch(reply)
	if m == nil {
		return reply
	}
	text := m[2]
	if code, _, _ := strings.Cut(text, " "); code != strings.ToUpper(code) {
		text = "ERR " + text
	}
	return fmt.Sprintf("-%s script: f, on @user_script:%s.\r\n", text, m[1])
}

// intercept sees each command before miniredis does, those of scripts included.
// It reports whether it has answered.
func (n *Node) intercept(peer *server.Peer, name string, args ...string) bool {
	s := n.current
	if s == nil {
		return name == "PUBLISH" && n.publish(peer, args)
	}
	direct := peer == s.peer
	if line := n.refusal(s, name, args, direct); line != "" {
		peer.WriteError(line)
		return true
	}
	if direct {
		n.record(s, name, args)
	}
	return n.answer(s, peer, name, args)
}

var (
	// early are answered before a client has said who it is.
	early = []string{"HELLO", "AUTH", "QUIT"}

	// always are answered by a server that is loading, or behind its master.
	always = append([]string{"SELECT", "CLIENT", "INFO", "ROLE", "SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH"}, early...)

	// subscribed are all that a client may send while it has a subscription.
	subscribed = []string{"SUBSCRIBE", "UNSUBSCRIBE", "PING", "QUIT", "RESET"}

	// unserved would block the node's thread, or be answered by miniredis, which
	// does not know the node's subscribers.
	unserved = []string{"BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "XREAD", "XREADGROUP",
		"PSUBSCRIBE", "PUNSUBSCRIBE", "PUBSUB"}
)

// databases is Redis' default.
const databases = 16

// refusal returns the error that a command is answered with, or nothing.
func (n *Node) refusal(s *session, name string, args []string, direct bool) string {
	if direct && !s.authenticated && !slices.Contains(early, name) {
		return "NOAUTH Authentication required."
	}
	if slices.Contains(unserved, name) {
		return "ERR fakeredis does not serve this command"
	}
	for _, known := range []string{fullName(name, args), name} {
		if line := n.failures[known]; line != "" {
			return line
		}
	}
	if len(s.channels) > 0 && !slices.Contains(subscribed, name) {
		return fmt.Sprintf("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "+
			"PING / QUIT / RESET are allowed in this context", strings.ToLower(fullName(name, args)))
	}
	if line := n.failures["*"]; line != "" && !slices.Contains(always, name) {
		return line
	}
	if name == "SELECT" && len(args) == 1 {
		if db, err := strconv.Atoi(args[0]); err == nil && db >= databases {
			return "ERR DB index is out of range"
		}
	}
	return ""
}

// fullName is a command's name with its subcommand, as in CLIENT|KILL.
func fullName(name string, args []string) string {
	if len(args) > 0 && (name == "CLIENT" || name == "SCRIPT") {
		return name + "|" + strings.ToUpper(args[0])
	}
	return name
}

func (n *Node) record(s *session, name string, args []string) {
	n.executed[name]++
	if full := fullName(name, args); full != name {
		n.executed[full]++
	}
	if len(n.log) == 2*maxLog {
		n.log = slices.Delete(n.log, 0, maxLog)
	}
	n.log = append(n.log, Command{Conn: s.id, Name: name, Args: args})
}
