package redlock

import (
	"errors"
	"io"
	"slices"
	"time"
)

// answer is a command with its vote.
type answer struct {
	*command
	vote vote
	err  error
}

// read is the reader's loop. It delivers in one go what one read brought.
func (s *stream) read() {
	var (
		buf     = make([]byte, 16<<10)
		filled  int
		replies []reply
		answers []answer
		held    []answer
	)
	for {
		size, err := s.conn.Read(buf[filled:])
		filled += size // with an error too: TLS may bring the last answers and the end together
		used := 0
		replies = replies[:0]
		for {
			r, size, broken := parseReply(buf[used:filled])
			if broken != nil {
				err = broken
			}
			if size == 0 {
				break
			}
			used += size
			replies = append(replies, r)
		}
		var broken error
		answers, broken = s.match(replies, answers[:0])
		held = s.deliver(answers, held)
		clear(answers) // a quiet stream keeps no lock alive
		if err = errors.Join(err, broken); err != nil {
			s.end(readFailure(err))
			s.confirm(held, unknown) // their WAIT was not answered
			return
		}
		filled = copy(buf, buf[used:filled])
		if filled == len(buf) {
			if len(buf) > maxReply {
				s.end(errOutOfStep)
				return
			}
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}

func readFailure(err error) error {
	switch {
	case errors.Is(err, errOutOfStep):
		return errOutOfStep
	case errors.Is(err, io.EOF):
		return connErrorf("the server closed the connection")
	}
	return connErrorf("%v", withoutPorts(err))
}

// match takes the commands that replies answer off the flight, in order.
func (s *stream) match(replies []reply, answers []answer) ([]answer, error) {
	if len(replies) == 0 {
		return answers, nil
	}
	n := s.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stream != s {
		return answers, nil // given up: its votes are cast, what comes is read and dropped
	}
	s.heard = time.Now()
	taken := 0
	defer func() { s.flight = slices.Delete(s.flight, 0, taken) }()
	for _, r := range replies {
		if taken == len(s.flight) {
			return answers, errOutOfStep
		}
		c := s.flight[taken]
		v, err := c.req.read(r)
		if errors.Is(err, errOutOfStep) {
			return answers, err
		}
		taken++
		c.value = r.n
		if err != nil {
			n.doubtLocked(err)
			if n.resendsLocked(c, err) {
				continue
			}
		}
		answers = append(answers, answer{c, n.answerLocked(c, v), err})
	}
	return answers, nil
}

// deliver hands out votes. On a node with replicas those for writes are held
// until the WAIT that ends their batch has been answered.
func (s *stream) deliver(answers, held []answer) []answer {
	for _, a := range answers {
		switch {
		case s.n.wait == nil || !a.req.writes && a.req != s.n.wait:
			s.n.tell(a.command, a.vote, a.err)
		case a.req.writes:
			held = append(held, a)
		default:
			s.confirm(held, a.vote)
			clear(held)
			held = held[:0]
		}
	}
	return held
}

var errReplicas = errors.New("written, but not confirmed by its replicas in time")

// confirm hands out the votes of a batch whose WAIT was answered with all:
// where replicas are missing, a write may be lost in a failover and does not
// count.
func (s *stream) confirm(held []answer, all vote) {
	for _, a := range held {
		if a.vote == granted && all != granted {
			a.vote, a.err = unknown, errReplicas
		}
		s.n.tell(a.command, a.vote, a.err)
	}
}
