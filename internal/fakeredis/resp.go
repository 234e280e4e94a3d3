package fakeredis

import (
	"bytes"
	"errors"
	"strconv"
)

var errProtocol = errors.New("protocol error")

// maxArgument is Redis' bound for one argument while a client is not known.
const maxArgument = 1 << 20

// parseCommand reads the first command in b, an array of bulk strings, and says
// how many bytes it took; 0: it is not complete yet.
func parseCommand(b []byte) (args []string, used int, err error) {
	count, used, err := parseHeader(b, '*')
	if used == 0 || err != nil {
		return nil, 0, err
	}
	for range count {
		length, size, err := parseHeader(b[used:], '$')
		if size == 0 || err != nil {
			return nil, 0, err
		}
		used += size
		if len(b) < used+length+2 {
			return nil, 0, nil
		}
		args = append(args, string(b[used:used+length]))
		used += length + 2
	}
	return args, used, nil
}

func parseHeader(b []byte, kind byte) (n, used int, err error) {
	if len(b) == 0 {
		return 0, 0, nil
	}
	if b[0] != kind {
		return 0, 0, errProtocol
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return 0, 0, nil
	}
	n, err = strconv.Atoi(string(bytes.TrimSuffix(b[1:end], []byte("\r"))))
	if err != nil || n < 0 || n > maxArgument {
		return 0, 0, errProtocol
	}
	return n, end + 1, nil
}
