package redlock

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// tlsFor is what the server at host is spoken to with; nil for plain text.
func (n *Node) tlsFor(host string) *tls.Config {
	if !n.TLS && n.TLSConfig == nil {
		return nil
	}
	return n.tlsClient(host)
}

// sentinelTLSFor is tlsFor of a Sentinel.
func (n *Node) sentinelTLSFor(host string) *tls.Config {
	if !n.SentinelTLS {
		return nil
	}
	return n.tlsClient(host)
}

func (n *Node) tlsClient(host string) *tls.Config {
	config := n.TLSConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	config.ServerName = cmp.Or(config.ServerName, host)
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config
}

// tlsFiles are the settings of TLS that name files, or how to check.
type tlsFiles struct{ certReqs, caCerts, certFile, keyFile string }

// load reads the files; nil where none of the settings is given. The errors
// name the setting and hold nothing of the files, nor the name of one: what
// stands there may be the key itself.
func (f tlsFiles) load(at string) (*tls.Config, error) {
	if f == (tlsFiles{}) {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	switch strings.TrimPrefix(strings.ToLower(f.certReqs), "cert_") {
	case "none":
		config.InsecureSkipVerify = true
	case "", "optional", "required":
	default:
		return nil, configErrorf(at+".ssl_cert_reqs", "expected CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED, got other text")
	}
	if f.caCerts != "" {
		authorities, err := readPEM(f.caCerts, at+".ssl_ca_certs")
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, configErrorf(at+".ssl_ca_certs", "expected a PEM file of certificates, but it holds no certificate")
		}
	}
	return config, f.loadPair(config, at)
}

// loadPair adds the client's own certificate. Its key may stand in the same
// file.
func (f tlsFiles) loadPair(config *tls.Config, at string) error {
	if f.certFile == "" && f.keyFile == "" {
		return nil
	}
	if f.certFile == "" {
		return configErrorf(at+".ssl_keyfile", "expected ssl_certfile beside it, got none")
	}
	certificate, err := readPEM(f.certFile, at+".ssl_certfile")
	if err != nil {
		return err
	}
	key, err := readPEM(cmp.Or(f.keyFile, f.certFile), at+".ssl_keyfile")
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return configErrorf(at+".ssl_certfile", "expected PEM files of a certificate and its key, but they are not: %v", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return nil
}

func readPEM(name, at string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, configErrorf(at, "expected a PEM file, but it is not a regular file")
	}
	data, err := os.ReadFile(name) //nolint:gosec // the file that the user named
	if err != nil {
		cause := err
		if withPath, ok := errors.AsType[*fs.PathError](err); ok {
			cause = withPath.Err
		}
		return nil, configErrorf(at, "expected a PEM file, but it cannot be read: %v", cause)
	}
	return data, nil
}
