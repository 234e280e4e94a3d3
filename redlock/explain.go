package redlock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/redis/go-redis/v9"
)

// explain turns a failure to connect into one that says what to do. What will
// not heal by itself is a ConfigError.
func (n *node) explain(err error) error {
	var unknownCA x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var network *net.OpError
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	switch {
	case errors.Is(err, errCredentials) && !ended: // it may look like a failure of the node
		return fmt.Errorf("connect: %w", err)
	case errors.As(err, &unknownCA):
		return configErrorf(n.path()+".tls", "expected a certificate by an authority of ssl_ca_certs or TLSConfig, "+
			"but that of %s is not: %v", n.name, unknownCA)
	case errors.As(err, &wrongName):
		return configErrorf(n.path()+".tls", "expected a certificate for this host, but that of %s is not: %v",
			n.name, wrongName)
	case errors.As(err, &unverified):
		return configErrorf(n.path()+".tls", "expected a valid certificate, but that of %s is not: %v",
			n.name, unverified.Err)
	case errors.As(err, &noTLS):
		return configErrorf(n.path()+".tls", "expected a server that speaks TLS, but %s does not speak TLS", n.name)
	case errors.As(err, &network) && network.Op == "remote error": // an alert: a client certificate, mostly
		return configErrorf(n.path()+".tls", "expected what the server accepts, a client certificate perhaps, "+
			"but %s refuses the TLS connection: %v", n.name, network.Err)
	case errors.Is(err, errOutOfStep), isNoReply(err):
		return configErrorf(n.path(), "expected a Redis server, but %s is not a Redis server, or wants TLS", n.name)
	case isBadLogin(err), hasText(err, "WRONGPASS", "NOAUTH"):
		return configErrorf(n.path()+n.loginField("password"),
			"expected a login that the server takes, but %s refuses the user name or password: %s", n.name, inWords(err))
	case hasText(err, "NOPERM"):
		return configErrorf(n.path()+n.loginField("username"),
			"expected a user with the rights that a lock needs, but %s refuses the handshake: %s", n.name, inWords(err))
	case hasText(err, "DB index is out of range", "invalid DB index"):
		return configErrorf(n.path()+".db", "expected a database of the server, but %s has no database %d",
			n.name, n.cfg.DB)
	}
	var config *ConfigError
	if errors.As(err, &config) {
		return config
	}
	if ended || isTimeout(err) {
		return connErrorf("no connection within %v%s", n.connectTimeout(), hint(err, n.secure()))
	}
	to := ""
	if errors.As(err, &network) && n.sentinel != nil && network.Addr != nil {
		to = " to " + network.Addr.String() // the name of the node is not where it is
	}
	return fmt.Errorf("connect%s: %w%s", to, withoutPorts(withoutSecrets(err)), hint(err, n.secure()))
}

// loginField is the setting behind a refused login.
func (n *node) loginField(field string) string {
	if n.cfg.Credentials != nil {
		return ".Credentials"
	}
	return "." + field
}

// withoutSecrets leaves out what an error repeats of its input: a server that
// does not know AUTH repeats the password, and package net the address, which
// may be a URI in the wrong place.
func withoutSecrets(err error) error {
	var answered redis.Error
	var address *net.AddrError
	var name *net.DNSError
	switch {
	case errors.As(err, &answered):
		return serverError([]byte(answered.Error()))
	case errors.As(err, &address):
		return connErrorf("address: %s", address.Err)
	case errors.As(err, &name):
		return connErrorf("lookup: %s", name.Err)
	}
	return err
}

// withoutPorts leaves out between whom a connection was. Our port is another
// one each time, and a node that is down for one reason is one line in the log.
// The node's name stands before it, and the operation is said once.
func withoutPorts(err error) error {
	var network *net.OpError
	var call *os.SyscallError
	if !errors.As(err, &network) {
		return err
	}
	cause := network.Err
	if errors.As(cause, &call) {
		cause = call.Err
	}
	switch {
	case errors.Is(err, errHandshake):
		return fmt.Errorf("%w: %w", errHandshake, cause)
	case network.Op == "dial":
		return cause
	}
	return fmt.Errorf("%s: %w", network.Op, cause)
}

// hint is what a wrong setting of TLS looks like from here, for whoever reads
// err at night: a server that was reached, and hung up or kept silent. It is no
// more than a hint: a server that is being stopped does the same.
func hint(err error, secure bool) string {
	var network *net.OpError
	var call *os.SyscallError
	hungUp := errors.Is(err, io.EOF) || errors.As(err, &call) && !call.Timeout()
	switch {
	case errors.As(err, &network) && network.Op == "dial":
		return ""
	case errors.Is(err, errHandshake):
		return " (perhaps it does not speak TLS)"
	case hungUp && secure:
		return " (perhaps it wants a client certificate)"
	case hungUp:
		return " (perhaps it wants TLS)"
	}
	return ""
}

// isBadLogin reports whether a server refuses the user name or password. Not
// every such refusal has a code of its own.
func isBadLogin(err error) bool {
	return redis.IsAuthError(err) || hasText(err, "invalid password", "called without any password")
}

// isNoReply reports whether go-redis did not understand what came.
func isNoReply(err error) bool { return hasText(err, "redis: can't parse", "redis: invalid reply") }

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func hasText(err error, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(err.Error(), part) })
}

// inWords is a server's refusal on one bounded line.
func inWords(err error) string { return serverError([]byte(err.Error())).Error() }

// replyError is an error that the server answered with.
type replyError string

func (e replyError) Error() string { return string(e) }

// serverError makes a server's words fit for a log: one line, bounded, and
// without the arguments that "unknown command" repeats, a token among them.
func serverError(text []byte) replyError {
	s, _, _ := strings.Cut(string(text), ", with args")
	s = onOneLine(s)
	return replyError(s[:min(len(s), 200)])
}

// onOneLine makes a text fit for a line of a log.
func onOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// hasCode reports whether the error begins with one of codes. Before Redis 7 an
// error inside a script stands behind words about the script.
func (e replyError) hasCode(codes ...string) bool {
	text := string(e)
	if rest, ok := strings.CutPrefix(text, "ERR Error running script"); ok {
		if at := strings.LastIndex(rest, "user_script:"); at >= 0 {
			text = strings.TrimLeft(rest[at+len("user_script:"):], "0123456789: -")
		}
	}
	return slices.ContainsFunc(codes, func(code string) bool { return strings.HasPrefix(text, code) })
}

// hasCode reports whether err is a server's error with one of codes.
func hasCode(err error, codes ...string) bool {
	var e replyError
	return errors.As(err, &e) && e.hasCode(codes...)
}

// connError is a failure of a connection in words. It never matches a context's
// error: a node's own time-out is no time-out of the caller's.
type connError struct{ text string }

func (e *connError) Error() string { return e.text }

func connErrorf(format string, args ...any) error {
	return &connError{text: fmt.Sprintf(format, args...)}
}
