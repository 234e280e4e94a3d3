package redlock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

var (
	errHandshake    = errors.New("TLS handshake")
	errNoConnection = errors.New("the Dialer has returned no connection")
)

// dial opens a connection to the node at address, in TLS where that is set.
func (n *node) dial(ctx context.Context, network, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := n.m.dialFor(ctx, &n.cfg, network, address)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(address)
	secure, err := overTLS(ctx, conn, n.cfg.tlsFor(host))
	if err != nil {
		_ = conn.Close()
	}
	return secure, err
}

// dialFor opens a connection as cfg wants it. Whatever a Dialer of the user's
// fails with is a failure to dial: it tells nothing about the server.
func (m *Manager) dialFor(ctx context.Context, cfg *Node, network, address string) (net.Conn, error) {
	if cfg.Dialer == nil {
		return m.dial(ctx, network, address)
	}
	conn, err := cfg.Dialer(ctx, network, address)
	if err == nil && conn == nil {
		err = errNoConnection
	}
	if err == nil {
		return conn, nil
	}
	var dialling *net.OpError
	if errors.As(err, &dialling) && dialling.Op == "dial" {
		return nil, err
	}
	return nil, &net.OpError{Op: "dial", Net: network, Err: err}
}

// overTLS makes the TLS handshake on conn, if there is a config for it.
func overTLS(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return conn, nil
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return secure, nil
}
