package redlock

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestAUserWithoutAPasswordLogsIn(t *testing.T) {
	for name, node := range map[string]Node{
		"named in the node":    {Username: "open"},
		"named by Credentials": {Credentials: func(context.Context) (string, string, error) { return "open", "", nil }},
	} {
		t.Run(name, func(t *testing.T) {
			node.Host = "10.0.0.1"
			bubble(t, 1, Config{Nodes: []Node{node}}, func(_ *testing.T, r *rig) {
				r.nodes[0].SetPassword("the default user's")
				r.nodes[0].SetUser("open", "")
				r.connected()
			})
		})
	}
}

func TestAServersTLSAlertIsAConfigErrorThatSaysWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certificate, roots := certify(t)
		node := Node{Host: "10.0.0.1", TLSConfig: &tls.Config{RootCAs: roots}}
		r := newRig(t, 1, Config{Nodes: []Node{node}})
		r.behindTLS(&tls.Config{
			Certificates: []tls.Certificate{certificate},
			ClientAuth:   tls.RequireAnyClientCert,
			MaxVersion:   tls.VersionTLS12, // so that the handshake waits for the verdict
		})
		wantConfigError(t, r.Ping(t.Context()), "nodes[0].tls", "10.0.0.1:6379 refuses the TLS connection: tls: ")
	})
}

func TestAConnectionThatFailsAsWrongSettingsOfTLSDoIsReportedWithAHint(t *testing.T) {
	secret := errors.New("no such secret")
	credentials := func(context.Context) (string, string, error) { return "", "", errors.Join(secret, io.EOF) }
	for name, row := range map[string]struct {
		node  Node
		fault func(r *rig)
		ends  string // of the error
	}{
		"plain, closed":            {Node{}, (*rig).closeOnCommand, "EOF (perhaps it wants TLS)"},
		"plain, reset":             {Node{}, (*rig).resetOnCommand, "reset by peer (perhaps it wants TLS)"},
		"plain, silent":            {Node{}, (*rig).pause, "no connection within 2s"},
		"plain, down":              {Node{}, (*rig).kill, "connection refused"},
		"TLS, closed":              {Node{TLS: true}, (*rig).closeOnCommand, "EOF (perhaps it wants a client certificate)"},
		"TLS, closed at its sight": {Node{TLS: true}, (*rig).closeOnHello, "EOF (perhaps it does not speak TLS)"},
		"TLS, silent":              {Node{TLS: true}, (*rig).silence, "within 2s (perhaps it does not speak TLS)"},
		"TLS, down":                {Node{TLS: true}, (*rig).kill, "connection refused"},
		"TLS, unreachable":         {Node{TLS: true}, (*rig).blackhole, "no connection within 2s"},
		"no credentials":           {Node{Credentials: credentials}, func(*rig) {}, "Credentials: no such secret EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				certificate, roots := certify(t)
				row.node.Host = "10.0.0.1"
				r := newRig(t, 1, Config{Nodes: []Node{row.node}, NodeTimeout: 3 * time.Second})
				if r.cfg.Nodes[0].TLS {
					r.Manager.nodes[0].cfg.TLSConfig = &tls.Config{RootCAs: roots}
					r.behindTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})
				}
				row.fault(r)
				err := r.Ping(t.Context())
				if err == nil || !strings.HasSuffix(err.Error(), row.ends) {
					t.Errorf("got %v, want ... %s", err, row.ends)
				}
				if row.node.Credentials != nil && !errors.Is(err, secret) {
					t.Errorf("%v does not match what Credentials returned", err)
				}
			})
		})
	}
}

func (r *rig) kill()      { r.nodes[0].Kill() }
func (r *rig) pause()     { r.nodes[0].Pause() }
func (r *rig) blackhole() { r.nodes[0].Blackhole(true) }

func (r *rig) resetOnCommand() {
	r.nodes[0].OnCommand(func(fakeredis.Command) fakeredis.Action { return fakeredis.Action{Cut: true} })
}

func (r *rig) closeOnCommand() {
	r.nodes[0].OnCommand(func(fakeredis.Command) fakeredis.Action {
		r.nodes[0].KillClients()
		return fakeredis.Action{}
	})
}

// silence is a server that accepts and says nothing.
func (r *rig) silence() { r.read(func(net.Conn) {}) }

// closeOnHello is a server that hangs up on the first thing that it reads.
func (r *rig) closeOnHello() { r.read(func(c net.Conn) { _ = c.Close() }) }

// read is a server that reads once.
func (r *rig) read(then func(net.Conn)) {
	r.dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Read(make([]byte, 16<<10))
			then(server)
		}()
		return client, nil
	}
}

// behindTLS puts a TLS server in front of each node.
func (r *rig) behindTLS(config *tls.Config) {
	plain := r.dial
	r.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return terminateTLS(ctx, plain, network, address, config)
	}
}

func TestAPauseThatIsOverAlreadyMakesNoTimer(t *testing.T) {
	if made := testing.AllocsPerRun(100, func() { pause(-time.Second, nil, nil) }); made > 0 {
		t.Errorf("it makes %v things", made)
	}
}
