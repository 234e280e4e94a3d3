package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA issues certificates for one test.
type CA struct {
	PEM []byte

	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	harness Pair // the harness's own client certificate
}

// Pair is a certificate and its key, both as PEM.
type Pair struct{ Cert, Key []byte }

// NewCA makes a certificate authority that nobody else trusts.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{}
	pair := ca.issue(t, &x509.Certificate{
		// OpenSSL finds an authority by its name: no two may share one.
		Subject:               pkix.Name{CommonName: "redlock test authority " + rand.Text()},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	})
	ca.PEM = pair.Cert
	ca.harness = ca.Client(t)
	return ca
}

// Server is a certificate for localhost and the loopback addresses.
func (ca *CA) Server(t testing.TB) Pair { return ca.issue(t, serverCert()) }

// Expired is a certificate of a server that ended a day ago.
func (ca *CA) Expired(t testing.TB) Pair {
	cert := serverCert()
	cert.NotBefore = time.Now().Add(-48 * time.Hour)
	cert.NotAfter = time.Now().Add(-24 * time.Hour)
	return ca.issue(t, cert)
}

// WrongName is a certificate of a server with another name and address.
func (ca *CA) WrongName(t testing.TB) Pair {
	cert := serverCert()
	cert.DNSNames = []string{"elsewhere.invalid"}
	cert.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)}
	return ca.issue(t, cert)
}

// Client is a client's certificate.
func (ca *CA) Client(t testing.TB) Pair {
	return ca.issue(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "redlock test client"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// Config is a client's configuration that trusts ca, and ca alone, and shows the
// given certificates.
func (ca *CA) Config(t testing.TB, clients ...Pair) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	config.RootCAs.AppendCertsFromPEM(ca.PEM)
	for _, client := range clients {
		cert, err := tls.X509KeyPair(client.Cert, client.Key)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = append(config.Certificates, cert)
	}
	return config
}

// File writes the authority's certificate into a file and returns its path.
func (ca *CA) File(t testing.TB) string { return writeFile(t, "ca.pem", ca.PEM) }

// Files writes the pair into two files and returns their paths.
func (p Pair) Files(t testing.TB) (cert, key string) {
	return writeFile(t, "cert.pem", p.Cert), writeFile(t, "key.pem", p.Key)
}

// harnessConfig accepts whatever the server shows: a server with an expired
// certificate must be started, too.
func (ca *CA) harnessConfig() *tls.Config {
	config := &tls.Config{InsecureSkipVerify: true}
	if cert, err := tls.X509KeyPair(ca.harness.Cert, ca.harness.Key); err == nil {
		config.Certificates = []tls.Certificate{cert}
	}
	return config
}

func serverCert() *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: "redlock test server"},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		// Servers are clients of each other: replicas and Sentinels.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// issue signs cert with the authority's key, or, for the authority's own
// certificate, with the new one.
func (ca *CA) issue(t testing.TB, cert *x509.Certificate) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert.SerialNumber = big.NewInt(time.Now().UnixNano())
	if cert.NotAfter.IsZero() {
		cert.NotBefore = time.Now().Add(-time.Hour)
		cert.NotAfter = time.Now().Add(24 * time.Hour)
	}
	if cert.IsCA {
		ca.cert, ca.key = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
