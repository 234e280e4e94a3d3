package redlock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxBatch bounds the commands of one pipeline through a user's client.
const maxBatch = 512

// runClient serves a node whose client the user brought. That client keeps its
// hooks, its pool and its retries: an acquire could be sent twice, and could
// meet its release on another connection. So the acquire is a script that knows
// its own key; one worker sends one batch after the other; and a release
// follows the return of its acquire.
func (n *node) runClient(life context.Context) {
	for life.Err() == nil {
		s, err := n.meetClient(life)
		if err == nil {
			n.adopt(s)
			err = n.underlying(life, n.serveClient(life))
			n.m.servers.leave(s.server.runID, n)
		}
		if err != nil {
			n.fail(err)
			pause(probeDelay(), life.Done(), nil)
		}
	}
	n.fail(ErrClosed)
}

// underlying is what a new dial fails for, at once, after a connection was lost:
// a node that is down for one reason is one line in the log. Where a dial says
// nothing, it is err.
func (n *node) underlying(life context.Context, err error) error {
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(life, n.m.nodeTimeout(n.m.cfg.TTL))
	defer cancel()
	if dial := dialBare(ctx, n.cfg.client); dial != nil && ctx.Err() == nil {
		return n.explain(dial)
	}
	return err
}

// serveClient sends what is queued until the server does not answer, and at the
// end of life the releases that wait.
func (n *node) serveClient(life context.Context) error {
	ticker := time.NewTicker(reapTick)
	defer ticker.Stop()
	for {
		select {
		case <-n.wake:
			if err := n.flushClient(life); err != nil {
				return err
			}
		case now := <-ticker.C:
			n.reap(now)
		case <-life.Done():
			return n.flushClient(life)
		}
	}
}

// meetClient asks the server behind the client what it is.
func (n *node) meetClient(life context.Context) (*stream, error) {
	ctx, cancel := context.WithTimeout(life, connectTimeout)
	defer cancel()
	client := n.cfg.client
	if err := dialBare(ctx, client); err != nil {
		return nil, n.explain(err)
	}
	if err := client.Ping(ctx).Err(); err != nil {
		return nil, n.explain(err)
	}
	hello := toReply(client.Do(ctx, "HELLO").Result())
	info := toReply(client.Do(ctx, "INFO", "server").Result())
	info.kind = '$'
	s := &stream{n: n, server: readServer(hello, info)}
	return s, n.admit(s)
}

// dialBare finds out whether the client's server can be dialled, past the
// client's pool: that would log each failure, for as long as the server is
// down.
func dialBare(ctx context.Context, client redis.UniversalClient) error {
	single, ok := client.(interface{ Options() *redis.Options })
	if !ok {
		return nil
	}
	opts := single.Options()
	conn, err := opts.Dialer(ctx, opts.Network, opts.Addr)
	var network *net.OpError
	switch {
	case err == nil:
	case opts.TLSConfig != nil && (!errors.As(err, &network) || network.Op != "dial"):
		return fmt.Errorf("%w: %w", errHandshake, err) // which Dialer makes too
	default:
		return err
	}
	return conn.Close()
}

// flushClient sends what is queued, batch by batch.
func (n *node) flushClient(life context.Context) error {
	for {
		s, batch := n.nextBatch()
		if len(batch) == 0 {
			return nil
		}
		if err := n.sendBatch(life, s, batch); err != nil {
			return err
		}
	}
}

// nextBatch takes commands off the queue: up to the first release, where the
// batch has an acquire. The stream stands for the connection, which is not ours
// to know: nothing shows that two batches went the same way.
func (n *node) nextBatch() (*stream, []*command) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &stream{n: n}
	now := time.Now()
	var batch []*command
	taken, acquires := 0, false
	for _, c := range n.queue {
		if len(batch) == maxBatch || acquires && c.req.kind == release {
			break
		}
		taken++
		if c.state != queued {
			continue
		}
		if c.droppable() {
			n.dropLocked(c)
			continue
		}
		acquires = acquires || c.req.kind == acquire
		c.state, c.stream, c.sentAt = sent, s, now
		batch = append(batch, c)
	}
	n.queue = slices.Delete(n.queue, 0, taken)
	return s, batch
}

// repeatable is a command through a client that may send it more than once.
type repeatable struct {
	*redis.Cmd
	repeated bool
}

// NoRetry is asked when the client is about to send a pipeline again.
func (c *repeatable) NoRetry() bool {
	c.repeated = true
	return false
}

// sendBatch sends one pipeline and hands out its votes. It returns an error if
// the node did not answer.
func (n *node) sendBatch(life context.Context, s *stream, batch []*command) error {
	// A release must go out when life has ended, too: Close had no time for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), n.silence)
	defer cancel()
	defer context.AfterFunc(life, func() { pause(lastLinger, ctx.Done(), nil); cancel() })()
	pipe := n.cfg.client.Pipeline()
	cmds := make([]*repeatable, len(batch))
	for i, c := range batch {
		var args []any
		if c.req.script != noScript {
			args = append(args, "EVAL", scriptText[c.req.script])
		}
		for _, arg := range c.req.args {
			args = append(args, arg)
		}
		cmds[i] = &repeatable{Cmd: redis.NewCmd(ctx, args...)}
		_ = pipe.Process(ctx, cmds[i])
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	answers := make([]answer, len(batch))
	var broken error
	n.mu.Lock()
	for i, c := range batch {
		r := toReply(cmds[i].Result())
		c.value = r.n
		v, err := c.req.read(r)
		if r.kind == 0 {
			v, err = unknown, n.explain(cmds[i].Err())
		}
		switch {
		case v == unknown: // no answer, or a broken one: it may have been executed
			broken = err
			n.loseLocked(c, time.Now())
		case cmds[i].repeated:
			v, err = n.answerRepeatedLocked(c, v, err)
		default:
			v = n.answerLocked(c, v)
		}
		answers[i] = answer{c, v, err}
	}
	n.mu.Unlock()
	for _, a := range answers {
		n.tell(a.command, a.vote, a.err)
	}
	return broken
}

var errRepeated = errors.New("the client has sent the release again, and only the last answer is known")

// answerRepeatedLocked notes the vote of a command that the client has sent again,
// over another connection. The answer is that of one copy: another one may have
// been executed before, or may be yet. It returns what is to be told.
func (n *node) answerRepeatedLocked(c *command, v vote, err error) (vote, error) {
	switch {
	case c.req.kind == acquire:
		n.loseLocked(c, time.Now())
		c.vote, c.repeated = v, true
		return v, err
	case c.debt != nil:
		c.debt.unsure = true
	}
	n.answerLocked(c, v)
	if c.debt != nil && v == refused {
		return unknown, errRepeated
	}
	return v, err
}

// toReply is what a client returned, as the reply that it was; kind 0 where the
// server did not answer.
func toReply(value any, err error) reply {
	var answered redis.Error
	switch {
	case errors.Is(err, redis.Nil):
		return reply{kind: '$', null: true}
	case errors.As(err, &answered):
		return reply{kind: '-', text: []byte(answered.Error())}
	case err != nil:
		return reply{}
	}
	switch value := value.(type) {
	case int64:
		return reply{kind: ':', n: value}
	case string:
		return reply{kind: '+', text: []byte(value)}
	case []any:
		r := reply{kind: '*'}
		for _, item := range value {
			r.items = append(r.items, toReply(item, nil))
		}
		return r
	case map[any]any: // RESP3
		r := reply{kind: '*'}
		for name, item := range value {
			r.items = append(r.items, toReply(name, nil), toReply(item, nil))
		}
		return r
	}
	return reply{kind: '?'}
}
