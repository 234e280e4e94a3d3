package redlock

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	askTimeout  = 750 * time.Millisecond // to connect to a Sentinel, and for each question
	askInterval = time.Second            // between questions, or attempts to connect, while the node is up
	straggle    = 100 * time.Millisecond // that the others are waited for, once one has answered
)

// sentinel finds the master of one node, and notices that another one is named.
//
// Sentinels may disagree: one that is cut off goes on naming the master that a
// failover has replaced. The answer with the highest epoch is believed: so
// Sentinel itself orders configurations, and only a failover raises it. Among
// equals, and where a user may not ask for the epoch, the address that most of
// them name is believed.
//
// Its methods are called by one goroutine at a time: resolve, then watch.
type sentinel struct {
	m      *Manager
	cfg    Node
	path   string   // of the node in the configuration
	said   []naming // by each Sentinel the last time, in the order of cfg.Sentinels
	newest uint64   // the epoch that ended the last watch
}

// naming is what a Sentinel says about the master. The zero value is nothing.
type naming struct {
	address string // host:port
	epoch   uint64 // of the configuration; 0: not told, or no failover so far
}

// report is the outcome of asking the Sentinel at index.
type report struct {
	index int
	says  naming
	err   error
}

func newSentinel(m *Manager, cfg Node, path string) *sentinel {
	return &sentinel{m: m, cfg: cfg, path: path, said: make([]naming, len(cfg.Sentinels))}
}

// resolve returns the address of the master. It asks all Sentinels at once, and
// returns as soon as a majority of them agrees; else once all have answered, or
// have been waited for long enough.
func (s *sentinel) resolve(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	var tasks errgroup.Group
	defer func() { cancel(); _ = tasks.Wait() }()
	heard := make(chan report, len(s.said)) // with room for all: no task waits for us
	for i, at := range s.cfg.Sentinels {
		tasks.Go(func() error {
			r := report{index: i}
			r.err = s.visit(ctx, at, func(conn *redis.Conn, _ net.Conn) (err error) {
				r.says, err = s.ask(ctx, conn)
				return err
			})
			heard <- r
			return nil
		})
	}
	return s.collect(heard)
}

// collect takes the reports of all Sentinels, or of enough of them. What is
// older than the naming that ended the last watch does not win at once: in the
// middle of a failover one Sentinel knows the new master before the others do.
func (s *sentinel) collect(heard <-chan report) (string, error) {
	clear(s.said)
	failures := make([]error, len(s.said))
	best, votes := naming{}, 0
	var enough <-chan time.Time
	for range s.said {
		select {
		case r := <-heard:
			s.said[r.index], failures[r.index] = r.says, r.err
			if r.err == nil && enough == nil {
				enough = time.After(straggle)
			}
			if best, votes = believed(s.said); votes > len(s.said)/2 && best.epoch >= s.newest {
				return best.address, nil
			}
		case <-enough:
			return best.address, nil
		}
	}
	if votes == 0 {
		return "", s.failure(failures)
	}
	return best.address, nil
}

// believed returns what to go by, and how many Sentinels name that address. A
// tie is won by the Sentinel that is configured first.
func believed(said []naming) (best naming, votes int) {
	for _, says := range said {
		n := 0
		for _, other := range said {
			if says.address != "" && says.address == other.address {
				n++
			}
		}
		if n > 0 && cmp.Or(cmp.Compare(says.epoch, best.epoch), cmp.Compare(n, votes)) > 0 {
			best, votes = says, n
		}
	}
	return best, votes
}

// watch returns when ended is closed, or with an error as soon as another
// master than the one at address is to be believed. It asks every Sentinel each
// second, and at once when one announces a change. A Sentinel that is down
// counts with what it said last. Each has two connections and two goroutines
// meanwhile, and none when watch has returned.
func (s *sentinel) watch(ended <-chan struct{}, address string) error {
	ctx, cancel := context.WithCancel(s.m.life)
	var tasks errgroup.Group
	defer func() { cancel(); _ = tasks.Wait() }()
	heard := make(chan report)
	for i, at := range s.cfg.Sentinels {
		news := make(chan struct{}, 1)
		tasks.Go(s.keep(ctx, at, func(conn *redis.Conn, _ net.Conn) error {
			return s.poll(ctx, conn, i, news, heard)
		}))
		tasks.Go(s.keep(ctx, at, func(_ *redis.Conn, raw net.Conn) error {
			return listen(raw, news)
		}))
	}
	for {
		select {
		case <-ended:
			return nil
		case r := <-heard:
			s.said[r.index] = r.says
			if best, _ := believed(s.said); best.address != address {
				s.newest = best.epoch
				return connErrorf("Sentinel names another master now, %s", best.address)
			}
		}
	}
}

// keep returns a task that visits a Sentinel again and again, until ctx ends.
// Why a visit has failed does not matter while the master is up.
func (s *sentinel) keep(ctx context.Context, at string, use func(*redis.Conn, net.Conn) error) func() error {
	return func() error {
		for ctx.Err() == nil {
			begun := time.Now()
			_ = s.visit(ctx, at, use)
			pause(time.Until(begun.Add(askInterval)), ctx.Done(), nil)
		}
		return nil
	}
}

// visit connects to a Sentinel, and calls use once it has accepted us.
// Afterwards it closes the connection, or when ctx ends: go-redis does not wait
// for that. A Conn is used because a redis.SentinelClient would dial again, and
// log it.
func (s *sentinel) visit(ctx context.Context, at string, use func(*redis.Conn, net.Conn) error) error {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	dialled, err := s.m.dialFor(limited, &s.cfg, "tcp", at)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = dialled.Close() })()
	defer func() { _ = dialled.Close() }()
	host, _, _ := net.SplitHostPort(at)
	raw, err := overTLS(limited, dialled, s.cfg.sentinelTLSFor(host))
	if err != nil {
		return err
	}
	opts := oneConnection(raw)
	opts.Username, opts.Password = login(s.cfg.SentinelUsername, s.cfg.SentinelPassword)
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	conn := client.Conn()
	if err := conn.Ping(limited).Err(); err != nil {
		return err
	}
	return use(conn, raw)
}

// ask asks for the address and the epoch in one go, so that they belong
// together.
func (s *sentinel) ask(ctx context.Context, conn *redis.Conn) (naming, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	master := redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", s.cfg.Master)
	address := redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.cfg.Master)
	_, _ = conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		return errors.Join(pipe.Process(ctx, master), pipe.Process(ctx, address))
	})
	pair, err := address.Result()
	if err != nil {
		return naming{}, err
	}
	epoch, _ := strconv.ParseUint(master.Val()["config-epoch"], 10, 64) // 0 for who may not ask
	if len(pair) == 2 && isHost(pair[0]) {
		if port, ok := parsePort(pair[1]); ok {
			return naming{joinPort(pair[0], port), epoch}, nil
		}
	}
	return naming{}, connErrorf("names %.100q, which is not an address", pair)
}

// poll asks every second, and when there is news, until the connection fails.
func (s *sentinel) poll(ctx context.Context, conn *redis.Conn, i int, news <-chan struct{}, heard chan<- report) error {
	for ctx.Err() == nil {
		says, err := s.ask(ctx, conn)
		if err != nil {
			return err
		}
		select {
		case heard <- report{index: i, says: says}:
		case <-ctx.Done():
		}
		select {
		case <-news:
		case <-time.After(askInterval):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// listen subscribes to changes of masters until the connection fails. Whatever
// comes is taken for news, and not believed but asked for. The answer to
// SUBSCRIBE too: the question behind it sees what was announced before.
func listen(conn net.Conn, news chan<- struct{}) error {
	_ = conn.SetDeadline(time.Time{}) // that of the handshake stays on it
	_, err := conn.Write(appendCommand(nil, "SUBSCRIBE", "+switch-master"))
	for buf := make([]byte, 1<<10); err == nil; {
		_, err = conn.Read(buf)
		wakeUp(news)
	}
	return err
}

// failure says of each Sentinel why it has named no master. It is a ConfigError
// if one of the reasons will not heal by itself.
func (s *sentinel) failure(failures []error) error {
	field, reasons := "", make([]string, len(failures))
	for i, err := range failures {
		setting, reason := sentinelFault(err, s.cfg.SentinelTLS)
		field = cmp.Or(field, setting)
		reasons[i] = s.cfg.Sentinels[i] + " " + reason
	}
	why := strings.Join(reasons, "; ")
	if field == "" {
		return connErrorf("no Sentinel names the master %q (sentinel_tls is %t; %s)",
			s.cfg.Master, s.cfg.SentinelTLS, why)
	}
	return configErrorf(s.path+"."+field,
		"expected Sentinels that name the master %q, but none does (sentinel_tls is %t; %s)",
		s.cfg.Master, s.cfg.SentinelTLS, why)
}

// sentinelFault puts err into words, and names the setting that is wrong where
// it will not heal by itself.
func sentinelFault(err error, secure bool) (setting, reason string) {
	var network *net.OpError
	switch {
	case errors.Is(err, redis.Nil):
		return "master", "does not know it"
	case isBadLogin(err):
		return "sentinel_password", "refuses the user name or password: " + inWords(err)
	case hasText(err, "NOPERM"):
		return "sentinel_username", "refuses the question: " + inWords(err)
	case hasText(err, "tls: "):
		return "sentinel_tls", "cannot be connected to: " + inWords(err)
	case isNoReply(err), hasText(err, "unknown command"):
		return "sentinels", "is not a Sentinel, or wants TLS"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed), isTimeout(err):
		return "", "did not answer in time" + hint(err, secure)
	case errors.As(err, &network) && network.Op == "dial":
		return "", "cannot be reached: " + inWords(withoutPorts(err))
	}
	return "", "failed: " + inWords(withoutPorts(err)) + hint(err, secure)
}
