package redlock

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for localhost and redis.internal.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.file, _, a.certificate, a.key = a.issue("ca")
	return a
}

// issue writes a certificate and its key to files; the first one is the
// authority's own.
func (a *authority) issue(name string) (certFile, keyFile string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: a.key == nil, BasicConstraintsValid: true, DNSNames: []string{"localhost", "redis.internal"},
	}
	parent, signer := template, key
	if a.key != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	a.write(certFile, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.write(keyFile, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return certFile, keyFile, cert, key
}

func (a *authority) write(name string, block *pem.Block) {
	a.t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// greet does a handshake with a server of this authority that demands a client
// certificate of its own, and returns the client's verdict and the server's.
func (a *authority) greet(client *tls.Config) (clientErr, serverErr error) {
	certFile, keyFile, _, _ := a.issue("server")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		a.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
		done <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err == nil {
		_ = conn.Close()
	}
	return err, <-done
}

func query(pairs ...string) string {
	values := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func TestAServersCertificateIsCheckedAgainstTheGivenAuthority(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	certFile, keyFile, _, _ := own.issue("client")
	otherCert, otherKey, _, _ := other.issue("client")
	for name, c := range map[string]struct {
		query                string
		clientFails, refused bool
	}{
		"own authority":        {query: query("ssl_ca_certs", own.file, "ssl_certfile", certFile, "ssl_keyfile", keyFile)},
		"optional verifies":    {query("ssl_ca_certs", other.file, "ssl_cert_reqs", "CERT_OPTIONAL"), true, true},
		"required verifies":    {query("ssl_ca_certs", other.file, "ssl_cert_reqs", "Required"), true, true},
		"another authority":    {query("ssl_ca_certs", other.file), true, true},
		"none does not verify": {query: query("ssl_cert_reqs", "none", "ssl_certfile", certFile, "ssl_keyfile", keyFile)},
		"no certificate":       {query("ssl_ca_certs", own.file), false, true},
		"foreign certificate": {
			query("ssl_ca_certs", own.file, "ssl_certfile", otherCert, "ssl_keyfile", otherKey), false, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := ParseNode("rediss://redis.internal?" + c.query)
			if err != nil {
				t.Fatal(err)
			}
			// TLS 1.2, so that the client's Handshake waits for the server's verdict.
			config := n.tlsFor("redis.internal")
			config.MaxVersion = tls.VersionTLS12
			clientErr, serverErr := own.greet(config)
			if (serverErr != nil) != c.refused {
				t.Errorf("server: %v", serverErr)
			}
			if _, unknown := errors.AsType[*tls.CertificateVerificationError](clientErr); unknown != c.clientFails {
				t.Errorf("client: %v", clientErr)
			}
		})
	}
}

func TestTheServersNameIsTheHostUnlessItIsGiven(t *testing.T) {
	given := &tls.Config{ServerName: "given", MinVersion: tls.VersionTLS13}
	for _, c := range []struct {
		node    Node
		name    string // "": no TLS
		version uint16
	}{
		{Node{Host: "h"}, "", 0},
		{Node{Host: "h", TLS: true}, "h", tls.VersionTLS12},
		{Node{Host: "h", TLSConfig: &tls.Config{}}, "h", tls.VersionTLS12},
		{Node{Host: "h", TLSConfig: given}, "given", tls.VersionTLS13},
	} {
		config := c.node.tlsFor("h")
		if (config == nil) != (c.name == "") {
			t.Fatalf("%+v: got %v", c, config)
		}
		if config != nil && (config.ServerName != c.name || config.MinVersion != c.version) {
			t.Errorf("got name %q and version %x, want %q and %x", config.ServerName, config.MinVersion, c.name, c.version)
		}
		if config == given {
			t.Error("the caller's config is not a copy")
		}
	}
}

func TestTLSForSentinelIsASettingOfItsOwn(t *testing.T) {
	own := newAuthority(t)
	n, err := ParseNode("rediss://s?master=m&" + query("ssl_ca_certs", own.file))
	if err != nil {
		t.Fatal(err)
	}
	only := x509.NewCertPool()
	only.AddCert(own.certificate)
	if !n.TLSConfig.RootCAs.Equal(only) {
		t.Error("authorities beside the given one are trusted")
	}
	if n.sentinelTLSFor("s") != nil {
		t.Error("TLS of the master was taken for Sentinel")
	}
	n.SentinelTLS = true
	config := n.sentinelTLSFor("s")
	if config == nil || config.ServerName != "s" || config.RootCAs != n.TLSConfig.RootCAs {
		t.Errorf("got %v, want the roots of the master's TLS and the Sentinel's name", config)
	}
	plain := Node{Sentinels: []string{"s"}, Master: "m", SentinelTLS: true}
	if plain.tlsFor("h") != nil || plain.sentinelTLSFor("s") == nil {
		t.Error("TLS of Sentinel was taken for the master")
	}
}

func TestABadFileOfTLSIsNamedByItsSetting(t *testing.T) {
	own := newAuthority(t)
	certFile, keyFile, _, _ := own.issue("client")
	_, otherKey, _, _ := own.issue("other")
	text := filepath.Join(t.TempDir(), "secret99")
	if err := os.WriteFile(text, []byte("secret99"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(t.TempDir(), "both.pem")
	certificate, _ := os.ReadFile(certFile)
	key, _ := os.ReadFile(keyFile)
	if err := os.WriteFile(both, append(certificate, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ query, field, part string }{
		{query("ssl_ca_certs", "/secret99/ca.pem"), "node.ssl_ca_certs", "cannot be read: "},
		{query("ssl_ca_certs", t.TempDir()), "node.ssl_ca_certs", "regular file"},
		{query("ssl_ca_certs", text), "node.ssl_ca_certs", "PEM"},
		{query("ssl_ca_certs", keyFile), "node.ssl_ca_certs", "no certificate"},
		{"ssl_ca_certs=", "node.ssl_ca_certs", "empty"},
		{query("ssl_keyfile", keyFile), "node.ssl_keyfile", "expected ssl_certfile"},
		{query("ssl_certfile", certFile), "node.ssl_certfile", "expected PEM files"},
		{query("ssl_certfile", text, "ssl_keyfile", keyFile), "node.ssl_certfile", "expected PEM files"},
		{query("ssl_certfile", certFile, "ssl_keyfile", text), "node.ssl_certfile", "expected PEM files"},
		{query("ssl_certfile", certFile, "ssl_keyfile", otherKey), "node.ssl_certfile", "expected PEM files"},
		{query("ssl_certfile", "/secret99", "ssl_keyfile", keyFile), "node.ssl_certfile", "cannot be read"},
		{query("ssl_certfile", certFile, "ssl_keyfile", "/secret99"), "node.ssl_keyfile", "cannot be read"},
		{query("ssl_cert_reqs", "maybe"), "node.ssl_cert_reqs", "CERT_REQUIRED"},
		{query("ssl_cert_reqs", "cert_cert_none"), "node.ssl_cert_reqs", "CERT_REQUIRED"},
	} {
		_, err := ParseNode("rediss://h?" + c.query)
		t.Run(c.field, func(t *testing.T) { wantConfigError(t, err, c.field, c.part) })
		if err != nil && strings.Contains(err.Error(), "secret99") {
			t.Errorf("the error shows what was given: %v", err)
		}
	}
	if _, err := ParseNode("rediss://h?" + query("ssl_certfile", both)); err != nil {
		t.Errorf("a key in the certificate's file: %v", err)
	}
}

func TestSettingsOfTLSWithoutTLSAreAnError(t *testing.T) {
	for _, given := range []any{
		"redis://h?ssl_cert_reqs=none", "redis://h?ssl=false&ssl_cert_reqs=none",
		[]any{map[string]any{"host": "h", "ssl_cert_reqs": "CERT_NONE"}},
	} {
		_, err := ParseNodes(given)
		wantConfigError(t, err, "nodes[0].ssl", "expected rediss:// or ssl")
	}
}
