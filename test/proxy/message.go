package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Direction is where a message goes.
type Direction int

// The two directions.
const (
	ToServer Direction = iota
	ToClient
)

func (d Direction) String() string {
	if d == ToServer {
		return "to server"
	}
	return "to client"
}

// Message is one command or one reply.
type Message struct {
	Direction Direction
	Conn      int      // which connection: 1 is the first that was accepted
	N         int      // the how manieth message in this direction, on all connections
	Name      string   // the command in upper case; of a reply, the command that it answers
	Args      []string // of a command, Name included; nil for a reply
	Raw       []byte
}

// readMessage reads exactly one value of RESP2 or RESP3 and returns its bytes.
func readMessage(r *bufio.Reader) ([]byte, error) {
	var raw []byte
	// Values that are still to be read: an aggregate adds its elements.
	for missing := 1; missing > 0; missing-- {
		line, err := r.ReadBytes('\n')
		raw = append(raw, line...)
		if err != nil {
			return raw, err
		}
		elements, body, err := announced(line)
		if err != nil {
			return raw, err
		}
		missing += elements
		start := len(raw)
		raw = append(raw, make([]byte, body)...)
		if n, err := io.ReadFull(r, raw[start:]); err != nil {
			return raw[:start+n], err
		}
	}
	return raw, nil
}

// announced returns how many values and how many bytes follow line.
func announced(line []byte) (elements, body int, err error) {
	kind, rest := line[0], strings.TrimRight(string(line[1:]), "\r\n")
	if !strings.ContainsRune("*~>%|$!=", rune(kind)) {
		return 0, 0, nil
	}
	n, err := strconv.Atoi(rest)
	if err != nil {
		return 0, 0, fmt.Errorf("proxy: no RESP: %q", line)
	}
	n = max(n, -1)
	switch {
	case n < 0: // a null
		return 0, 0, nil
	case kind == '%':
		return 2 * n, 0, nil
	case kind == '|': // attributes stand before the value that they belong to
		return 2*n + 1, 0, nil
	case strings.ContainsRune("$!=", rune(kind)):
		return 0, n + len("\r\n"), nil
	}
	return n, 0, nil
}

// arguments are the words of a command: an array of bulk strings, or a line.
func arguments(raw []byte) []string {
	if raw[0] != '*' {
		return strings.Fields(string(raw))
	}
	var args []string
	_, rest, _ := bytes.Cut(raw, []byte("\r\n"))
	for len(rest) > 0 {
		head, tail, _ := bytes.Cut(rest, []byte("\r\n"))
		n, err := strconv.Atoi(string(head[1:]))
		if err != nil || n < 0 || n+len("\r\n") > len(tail) {
			return args
		}
		args = append(args, string(tail[:n]))
		rest = tail[n+len("\r\n"):]
	}
	return args
}
