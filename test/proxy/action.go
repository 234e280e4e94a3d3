package proxy

// Action is what happens to a message.
type Action struct {
	kind  kind
	bytes int
}

type kind int

const (
	pass kind = iota
	drop
	hold
	repeat
	silence
	reset
	cut
)

// What a rule can decide about a message.
var (
	// Pass sends the message on.
	Pass = Action{kind: pass}

	// Drop loses the message and nothing else. TCP cannot do this: it is for
	// tests of what reads the stream.
	Drop = Action{kind: drop}

	// Hold keeps the message, and what follows it on its connection, until
	// [Proxy.Release]; also after the sender has closed the connection. The
	// sender notices nothing.
	Hold = Action{kind: hold}

	// Repeat sends the message twice. The second reply to a command is dropped.
	Repeat = Action{kind: repeat}

	// Silence loses the message and all that follows it in its direction, the
	// end of the connection included. The connection stays open.
	Silence = Action{kind: silence}

	// Reset loses the message and ends the connection, with RST to both sides.
	Reset = Action{kind: reset}
)

// Cut sends the first n bytes of the message and ends the connection: with FIN
// to the receiver, so that it reads these bytes, and with RST to the sender.
func Cut(n int) Action { return Action{kind: cut, bytes: n} }
