package redlock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// ofNode is the error of a Ping of one node, once set has spoilt it.
func ofNode(node Node, set func(r *rig)) func(t *testing.T) error {
	return func(t *testing.T) (err error) {
		synctest.Test(t, func(t *testing.T) {
			if node.Host == "" {
				node.Host = "10.0.0.1"
			}
			r := newRig(t, 1, Config{Nodes: []Node{node}, NodeTimeout: 3 * time.Second})
			set(r)
			err = r.Ping(t.Context())
		})
		return err
	}
}

// failing is the error of an acquire that the only node answers with line.
func failing(line string) func(t *testing.T) error {
	return inBubble(1, func(t *testing.T, r *rig) error {
		r.nodes[0].FailWith("set", line)
		return r.take(t.Context())
	})
}

// ofTLS is ofNode for a server that speaks TLS as config says; spoil changes
// what the client makes of it.
func ofTLS(config func(*tls.Config), spoil func(r *rig, client *tls.Config)) func(t *testing.T) error {
	return ofNode(Node{TLS: true}, func(r *rig) {
		certificate, roots := certify(r.t)
		client := &tls.Config{RootCAs: roots, Time: func() time.Time { return time.Now().UTC() }}
		r.Manager.nodes[0].cfg.TLSConfig = client
		server := &tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: tls.VersionTLS12}
		config(server)
		r.behindTLS(server)
		spoil(r, client)
	})
}

func asItIs(*tls.Config) {}

// dialledBy has a node be dialled so.
func dialledBy(err error) func(r *rig) {
	return func(r *rig) {
		r.dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
}

var nodeErrors = []told{
	{"nobody listens", ofNode(Node{}, (*rig).kill)},
	{"it accepts no connection", ofNode(Node{}, (*rig).blackhole)},
	{"it accepts, and keeps silent", ofNode(Node{}, (*rig).pause)},
	{"its name is not known", ofNode(Node{Host: "redis.internal"}, dialledBy(&net.OpError{
		Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "redis.internal", IsNotFound: true},
	}))},
	{"its address cannot be used", ofNode(Node{}, dialledBy(&net.OpError{
		Op: "dial", Net: "tcp", Err: &net.AddrError{Err: "no suitable address found", Addr: "10.0.0.1"},
	}))},
	{"it hangs up, as one that wants TLS does", ofNode(Node{}, (*rig).closeOnCommand)},
	{"it resets, as one that wants TLS does", ofNode(Node{}, (*rig).resetOnCommand)},
	{"it speaks no TLS", ofNode(Node{TLS: true}, func(*rig) {})},
	{"it hangs up at the sight of TLS", ofNode(Node{TLS: true}, (*rig).closeOnHello)},
	{"it is silent at the sight of TLS", ofNode(Node{TLS: true}, (*rig).silence)},
	{"its certificate is of an unknown authority", ofTLS(asItIs, func(_ *rig, client *tls.Config) {
		client.RootCAs = x509.NewCertPool()
	})},
	{"its certificate is for another host", ofTLS(asItIs, func(_ *rig, client *tls.Config) {
		client.ServerName = "redis.internal"
	})},
	{"its certificate has expired", ofTLS(asItIs, func(*rig, *tls.Config) { passTime(2 * time.Hour) })},
	{"it wants a client certificate, and says so", ofTLS(func(server *tls.Config) {
		server.ClientAuth = tls.RequireAnyClientCert
	}, func(*rig, *tls.Config) {})},
	{"it hangs up on TLS, as one that wants a client certificate does", ofTLS(asItIs, func(r *rig, _ *tls.Config) {
		r.closeOnCommand()
	})},
	{"it is no Redis", ofNode(Node{}, func(r *rig) {
		r.read(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = c.Close()
		})
	})},
	{"its answer is none", inBubble(1, func(t *testing.T, r *rig) error {
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			if c.Name == "SET" {
				a.Reply = "$2\r\nno\r\n"
			}
			return a
		})
		return r.take(t.Context())
	})},
	{"it wants a password", ofNode(Node{}, func(r *rig) { r.nodes[0].SetPassword("s3cret") })},
	{"the password is wrong", ofNode(Node{Password: "0ther"}, func(r *rig) { r.nodes[0].SetPassword("s3cret") })},
	{"the user is unknown", ofNode(Node{Username: "me", Password: "s3cret"}, func(*rig) {})},
	{"it wants no password", ofNode(Node{Password: "s3cret"}, func(r *rig) {
		r.nodes[0].FailWith("hello", "ERR unknown command 'HELLO'")
	})},
	{"Credentials gives a wrong password", ofNode(Node{
		Credentials: func(context.Context) (string, string, error) { return "me", "0ther", nil },
	}, func(r *rig) { r.nodes[0].SetUser("me", "s3cret") })},
	{"Credentials fails", ofNode(Node{Credentials: func(context.Context) (string, string, error) {
		return "", "", errors.New("the vault is sealed:\ncall its keeper")
	}}, func(*rig) {})},
	{"the user may not even connect", ofNode(Node{}, func(r *rig) { r.nodes[0].Deny("ping") })},
	{"the user may not use a command", inBubble(1, func(t *testing.T, r *rig) error {
		r.nodes[0].Deny("set")
		return r.take(t.Context())
	})},
	{"a command was renamed", failing("ERR unknown command 'SET', with args beginning with: 'report' 's3cret' 'NX' ")},
	{"it has no such database", ofNode(Node{DB: 16}, func(*rig) {})},
	{"it is a replica", ofNode(Node{}, func(r *rig) { r.nodes[0].SetRole("slave") })},
	{"it belongs to a cluster", ofNode(Node{}, func(r *rig) { r.nodes[0].SetMode("cluster") })},
	{"it is a Sentinel", ofNode(Node{}, func(r *rig) { r.nodes[0].SetMode("sentinel") })},
	{"it has two addresses", func(t *testing.T) (err error) {
		bubble(t, 2, Config{}, func(t *testing.T, r *rig) {
			r.nodes[0].SetDelay(time.Millisecond, 0) // the other one is first
			r.nodes[1].SetRunID(r.nodes[0].RunID())
			err = r.Ping(t.Context())
		})
		return err
	}},
	{"it is behind a load balancer", inBubble(1, func(t *testing.T, r *rig) error {
		for _, id := range []string{"another", r.nodes[0].RunID()} {
			r.nodes[0].SetRunID(id)
			r.nodes[0].KillClients()
			passTime(time.Second)
		}
		return r.Ping(t.Context())
	})},
	{"it loads its data", failing("LOADING Redis is loading the dataset in memory")},
	{"it is read-only", failing("READONLY You can't write against a read only replica.")},
	{"its master is down", failing("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")},
	{"its memory is full", failing("OOM command not allowed when used memory > 'maxmemory'.")},
	{"it has too many clients", ofNode(Node{}, func(r *rig) {
		r.nodes[0].FailWith("ping", "ERR max number of clients reached")
	})},
	{"ForceUnlockAll may not scan", inBubble(1, func(t *testing.T, r *rig) error {
		r.nodes[0].Deny("scan")
		_, err := r.ForceUnlockAll(t.Context(), "rep")
		return err
	})},
}

// ofSentinels is the error of a Ping of a master behind three Sentinels, which
// fault has changed.
func ofSentinels(node Node, fault func(s *sentinel, f *fakeSentinel)) func(t *testing.T) error {
	return func(t *testing.T) (err error) {
		synctest.Test(t, func(t *testing.T) {
			s, fakes := startSentinels(t, node)
			for _, f := range fakes {
				fault(s, f)
			}
			err = afterConnecting(t, s.m)
		})
		return err
	}
}

// afterConnecting is the error of a Ping once connecting has failed for good.
func afterConnecting(t *testing.T, m *Manager) error {
	_ = m.Ping(t.Context())
	passTime(5 * time.Second)
	err := m.Ping(t.Context())
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return err
}

var sentinelErrors = []told{
	{"they are down", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) { f.Kill() })},
	{"they are silent", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) { f.Pause() })},
	{"they do not know the master", ofSentinels(Node{}, func(s *sentinel, _ *fakeSentinel) { s.cfg.Master = "other" })},
	{"they want a password", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) { f.SetPassword("s3cret") })},
	{"the user may not ask", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) {
		f.answerWith("-NOPERM User default has no permissions to run the 'sentinel' command\r\n")
	})},
	{"they speak no TLS", ofSentinels(Node{SentinelTLS: true}, func(*sentinel, *fakeSentinel) {})},
	{"they hang up, as those that want TLS do", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) {
		f.OnCommand(func(fakeredis.Command) fakeredis.Action { return fakeredis.Action{CutReply: true} })
	})},
	{"they are plain servers", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) { f.OnCommand(nil) })},
	{"they name what is no address", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) {
		f.answerWith("*2\r\n$0\r\n\r\n$4\r\n6379\r\n")
	})},
	{"each has a fault of its own", ofSentinels(Node{}, func(_ *sentinel, f *fakeSentinel) {
		switch f.address {
		case "10.0.0.1:26379":
			f.Kill()
		case "10.0.0.2:26379":
			f.SetPassword("s3cret")
		default:
			f.Pause()
		}
	})},
	{"the master that they name is down", ofSentinels(Node{}, func(*sentinel, *fakeSentinel) {})},
	{"the master that they name is still a replica", func(t *testing.T) (err error) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := startSentinels(t, Node{})
			nt, toSentinel := fakeredis.NewNet(), s.m.dial
			nt.Start(t, oldMaster).SetRole("slave")
			s.m.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if strings.HasSuffix(address, ":26379") {
					return toSentinel(ctx, network, address)
				}
				return nt.DialContext(ctx, network, address)
			}
			err = afterConnecting(t, s.m)
		})
		return err
	}},
}
