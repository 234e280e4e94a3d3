package redlock

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// maxReply bounds one reply: the longest that we ask for is INFO server, a few
// kilobytes. Whatever is longer is no answer to us.
const maxReply = 64 << 10

// errOutOfStep says that a reply is not what the command can be answered with.
// The connection ends: the replies behind it could be credited to the wrong
// command.
var errOutOfStep = errors.New("the reply does not fit the command (is it a Redis server?)")

// reply is one RESP2 value. text is valid until the next read.
type reply struct {
	kind  byte // + - : $ *
	null  bool
	n     int64 // of an integer
	text  []byte
	items []reply
}

// appendCommand appends a command in its wire form: an array of bulk strings.
func appendCommand(b []byte, args ...string) []byte {
	b = grow(b, args)
	return appendBulks(appendHeader(b, '*', len(args)), args)
}

// grow makes room for all of args at once.
func grow(b []byte, args []string) []byte {
	const header = len("$1024\r\n")
	size := header
	for _, arg := range args {
		size += header + len(arg) + len("\r\n")
	}
	return slices.Grow(b, size)
}

func appendBulks(b []byte, args []string) []byte {
	for _, arg := range args {
		b = appendBulk(b, arg)
	}
	return b
}

func appendHeader(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\r', '\n')
}

func appendBulk(b []byte, s string) []byte {
	b = appendHeader(b, '$', len(s))
	b = append(b, s...)
	return append(b, '\r', '\n')
}

// parseReply reads the first reply in b and says how many bytes it took; 0
// bytes mean that it is not complete yet. It is strict: anything that Redis
// does not send in RESP2 is an error.
func parseReply(b []byte) (reply, int, error) { return parseValue(b, 0) }

func parseValue(b []byte, depth int) (reply, int, error) {
	if len(b) > 0 && strings.IndexByte("+-:$*", b[0]) < 0 {
		return reply{}, 0, errOutOfStep // do not wait for the end of what is no reply
	}
	line, size, err := parseLine(b)
	if size == 0 || err != nil {
		return reply{}, 0, err
	}
	r := reply{kind: line[0], text: line[1:]}
	switch r.kind {
	case '+', '-':
		return r, size, nil
	case ':':
		if r.n, err = parseInt(r.text); err != nil {
			return reply{}, 0, err
		}
		return r, size, nil
	case '$':
		return parseBulk(b, r, size)
	case '*':
		return parseArray(b, r, size, depth)
	}
	return reply{}, 0, errOutOfStep
}

// parseLine returns the first line without its end, and its size with it.
func parseLine(b []byte) (line []byte, size int, err error) {
	for i, c := range b {
		switch {
		case c == '\n' || i > maxReply:
			return nil, 0, errOutOfStep
		case c != '\r':
			continue
		case i == 0:
			return nil, 0, errOutOfStep
		case i+1 == len(b):
			return nil, 0, nil
		case b[i+1] != '\n':
			return nil, 0, errOutOfStep
		}
		return b[:i], i + 2, nil
	}
	return nil, 0, nil
}

func parseBulk(b []byte, r reply, size int) (reply, int, error) {
	n, err := parseLength(r.text)
	if err != nil {
		return reply{}, 0, err
	}
	if n < 0 {
		r.null, r.text = true, nil
		return r, size, nil
	}
	if len(b) < size+n+2 {
		return reply{}, 0, nil
	}
	if b[size+n] != '\r' || b[size+n+1] != '\n' {
		return reply{}, 0, errOutOfStep
	}
	r.text = b[size : size+n]
	return r, size + n + 2, nil
}

func parseArray(b []byte, r reply, size, depth int) (reply, int, error) {
	n, err := parseLength(r.text)
	if err != nil || depth > 4 {
		return reply{}, 0, errOutOfStep
	}
	r.null, r.text = n < 0, nil
	for range n {
		item, used, err := parseValue(b[size:], depth+1)
		if used == 0 || err != nil {
			return reply{}, 0, err
		}
		r.items = append(r.items, item)
		size += used
	}
	return r, size, nil
}

// parseLength reads the length of a bulk string or an array; -1 is null.
func parseLength(b []byte) (int, error) {
	n, err := parseInt(b)
	if err != nil || n < -1 || n > maxReply {
		return 0, errOutOfStep
	}
	return int(n), nil
}

func parseInt(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(b) { // Redis writes no 01, +1 or -0
		return 0, errOutOfStep
	}
	return n, nil
}
