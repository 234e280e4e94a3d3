package redlock

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// maxValue is how much of a value a node tells, in bytes: look.lua has the same
// number. No lock's value is as long, and what somebody else keeps under the
// name of a lock may be of any length.
const maxValue = 1 << 10

// Why what stands at a key is not the value of a lock. It is left alone.
var (
	errWrongType = errors.New("keeps something under this name that is no string, and no lock")
	errLongValue = errors.New("keeps something under this name that is longer than the value of any lock")
)

// sighting is what a node has told about a key.
type sighting struct {
	there bool          // something stands at the key
	odd   error         // why that is no lock's value; nil: it may be one
	value string        // as it is stored
	left  time.Duration // negative: it does not expire
}

// holds reports whether the key is locked under exactly this token.
func (at sighting) holds(token string) bool { return at.there && at.odd == nil && at.value == token }

// survey asks all nodes what stands at one key. A vote carries no data, so each
// node has a request of its own, which notes here what the node tells before
// its vote is counted.
type survey struct {
	*ballot
	mu   sync.Mutex
	told []sighting // by node; guarded by mu
}

// look asks every node what stands at key, and waits for all of them, timeout
// at most. judge makes a vote of what a node tells, with the node's mu held.
// Where touch is not empty a vote counts only when the replicas asked for have
// confirmed the key, if that holds touch.
func (m *Manager) look(
	ctx context.Context, key, touch string, timeout time.Duration, judge func(*node, sighting) (vote, error),
) (*survey, tally) {
	s := &survey{ballot: newBallot(len(m.nodes), complete), told: make([]sighting, len(m.nodes))}
	for i, n := range m.nodes {
		req := lookRequest(key, "")
		if n.cfg.Replicas > 0 {
			req = lookRequest(key, touch)
		}
		req.read = func(r reply) (vote, error) {
			at, v, err := readSighting(r)
			if v != granted {
				return v, err
			}
			s.mu.Lock()
			s.told[i] = at
			s.mu.Unlock()
			return judge(n, at)
		}
		s.commands[i].req = &req
		n.submit(&s.commands[i])
	}
	t := s.wait(ctx, m.open, timeout)
	s.over.Store(true)
	return s, t
}

// anything votes yes where something stands at the key.
func anything(_ *node, at sighting) (vote, error) {
	if at.there {
		return granted, nil
	}
	return refused, nil
}

// readSighting reads the answer of the look script; granted says that it is one.
// A user's client does not tell a bulk string from a status.
func readSighting(r reply) (sighting, vote, error) {
	switch {
	case r.kind == '$' && r.null:
		return sighting{}, granted, nil
	case r.kind == '-' && serverError(r.text).hasCode("WRONGTYPE"):
		return sighting{there: true, odd: errWrongType}, granted, nil
	case r.kind != '*' || len(r.items) != 2:
		v, err := readError(r)
		return sighting{}, v, err
	}
	value, left := r.items[0], r.items[1]
	isText := value.kind == '$' && !value.null || value.kind == '+'
	if !isText || len(value.text) > maxValue || left.kind != ':' || left.n < -1 {
		return sighting{}, unknown, errOutOfStep
	}
	at := sighting{there: true, value: string(value.text), left: -1}
	if left.n >= 0 {
		// More than a century is as good as that: a Duration must not overflow.
		at.left = time.Duration(min(left.n, maxTTL.Milliseconds())) * time.Millisecond
	}
	if len(at.value) == maxValue {
		at.odd = errLongValue
	}
	return at, granted, nil
}

// finding is a node's vote with what it has told. That is empty, and err says
// why, where the node has not answered in time.
type finding struct {
	sighting
	vote vote
	err  error
}

var errCutShort = connErrorf("had not answered when the call ended")

// findings are those of all nodes, in node order.
func (s *survey) findings() []finding {
	votes, errs := s.byNode()
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]finding, len(votes))
	for i, v := range votes {
		found[i] = finding{vote: v, err: errs[i]}
		switch {
		case v == pending:
			found[i].err = errCutShort
		case !v.failed():
			found[i].sighting = s.told[i]
		}
	}
	return found
}

// byNode returns the votes and the errors of those that failed, by node.
func (b *ballot) byNode() ([]vote, []error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := make([]error, len(b.votes))
	copy(errs, b.errs)
	return slices.Clone(b.votes), errs
}

// keptByMajority is for how long a majority of total nodes keeps a key, of which
// left says how long each has it: the majority-th largest of these. Negative is
// without expiry, and the largest. It is 0 where fewer than a majority have it.
func keptByMajority(left []time.Duration, total int) time.Duration {
	if len(left) < majority(total) {
		return 0
	}
	left = slices.Clone(left)
	for i, d := range left {
		if d < 0 {
			left[i] = math.MaxInt64
		}
	}
	slices.Sort(left)
	if kept := left[len(left)-majority(total)]; kept < math.MaxInt64 {
		return kept
	}
	return -1
}
