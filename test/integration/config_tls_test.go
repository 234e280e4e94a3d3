package integration

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// withClientCert are servers that demand a certificate of ca from their clients.
func withClientCert(t *testing.T, ca *servers.CA) servers.Options {
	return servers.Options{TLS: &servers.TLS{CA: ca, Cert: ca.Server(t), ClientCert: true}}
}

func TestTLSWithAnAuthorityAndAClientCertificateWorksInEveryForm(t *testing.T) {
	ca := servers.NewCA(t)
	client := ca.Client(t)
	cert, key := client.Files(t)
	files := "ssl_ca_certs=" + escaped(ca.File(t)) + "&ssl_certfile=" + escaped(cert) + "&ssl_keyfile=" + escaped(key)
	withFiles := func(s *servers.Server, ssl string) mapping {
		return mapping{"host": "127.0.0.1", "port": s.Port, ssl: true,
			"ssl_ca_certs": ca.File(t), "ssl_certfile": cert, "ssl_keyfile": key}
	}
	rowsWith(t, 3, withClientCert(t, ca), func(t *testing.T, q *Quorum) {
		eachFormLocks(t, q, map[string]nodeForm{
			"rediss":       func(s *servers.Server) any { return "rediss://" + s.Addr + "?" + files },
			"URI with ssl": func(s *servers.Server) any { return "redis://" + s.Addr + "?ssl=true&" + files },
			"mapping":      func(s *servers.Server) any { return withFiles(s, "ssl") },
			"mapping, tls": func(s *servers.Server) any { return withFiles(s, "tls") },
			"by name": func(s *servers.Server) any {
				return "rediss://localhost" + s.Addr[len("127.0.0.1"):] + "?" + files
			},
			"unverified, URI": func(s *servers.Server) any { return "rediss://" + s.Addr + "?ssl_cert_reqs=CERT_NONE&" + files },
		})
		nodes := q.plainNodes()
		for i := range nodes {
			nodes[i].TLSConfig = ca.Config(t, client)
		}
		nodesLock(t, q, nodes)
	})
}

func TestServersWithABadCertificateAreRefusedUnlessItIsNotChecked(t *testing.T) {
	t.Parallel()
	ca, other := servers.NewCA(t), servers.NewCA(t)
	for name, bad := range map[string]struct {
		cert  servers.Pair
		trust *servers.CA
		words string
	}{
		"another authority": {ca.Server(t), other, "unknown authority"},
		"expired":           {ca.Expired(t), ca, "expired"},
		"wrong name":        {ca.WrongName(t), ca, "valid for 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trusted := "ssl_ca_certs=" + escaped(bad.trust.File(t))
			options := servers.Options{TLS: &servers.TLS{CA: ca, Cert: bad.cert}}
			rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
				for _, query := range []string{
					trusted, "ssl_cert_reqs=CERT_OPTIONAL&" + trusted, "ssl_cert_reqs=CERT_REQUIRED&" + trusted,
					"ssl_cert_reqs=optional&" + trusted, "ssl_cert_reqs=Required&" + trusted,
				} {
					refusesNodes(t, q, q.uris(t, "rediss", query), "nodes[i].tls", bad.words)
				}
				for _, none := range []string{"CERT_NONE", "none", "cert_none", "None"} {
					nodesLock(t, q, q.uris(t, "rediss", "ssl_cert_reqs="+none+"&"+trusted))
				}
			})
		})
	}
}

// uris are the nodes of URIs with a scheme and a query.
func (q *Quorum) uris(t *testing.T, scheme, query string) []redlock.Node {
	t.Helper()
	text := make([]string, len(q.Servers))
	for i, s := range q.Servers {
		text[i] = scheme + "://" + s.Addr + "?" + query
	}
	nodes, err := redlock.ParseNodes(text)
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

func TestAClientWithoutTheCertificateThatAServerDemandsIsToldSo(t *testing.T) {
	ca, other := servers.NewCA(t), servers.NewCA(t)
	rowsWith(t, 3, withClientCert(t, ca), func(t *testing.T, q *Quorum) {
		for _, shown := range [][]servers.Pair{nil, {other.Client(t)}} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				nodes := q.plainNodes()
				for i := range nodes {
					nodes[i].TLSConfig = ca.Config(t, shown...)
					nodes[i].TLSConfig.MaxVersion = version
				}
				m := q.New(t, redlock.Config{Nodes: nodes})
				wantsNoQuorum(t, m, q.Resource(t))
				eventually(t, 20*time.Second, func() error {
					err := m.Ping(t.Context())
					// Under TLS 1.3 the server may reset the connection before its
					// alert is read: then only a hint is possible.
					if version == tls.VersionTLS13 && strings.Contains(fmt.Sprint(err), "a client certificate") {
						return nil
					}
					return checkSetting(err, "nodes[i].tls", "refuses the TLS connection")
				})
			}
		}
	})
}

func TestAPlainClientOfATLSServerIsToldThatItMayWantTLS(t *testing.T) {
	ca := servers.NewCA(t)
	rowsWith(t, 3, servers.Options{TLS: &servers.TLS{CA: ca, Cert: ca.Server(t)}}, func(t *testing.T, q *Quorum) {
		hints(t, q, q.plainNodes(), "wants TLS")
	})
}

func TestATLSClientOfAPlainServerIsToldThatItMayNotSpeakTLS(t *testing.T) {
	ca := servers.NewCA(t)
	query := "timeout=0.5&ssl_ca_certs=" + escaped(ca.File(t))
	rows(t, func(t *testing.T, q *Quorum) {
		hints(t, q, q.uris(t, "rediss", query), "not speak TLS")
	})
}

func TestSettingsOfTLSThatCannotBeUsedAreErrorsBeforeAnyConnection(t *testing.T) {
	ca := servers.NewCA(t)
	cert, key := ca.Client(t).Files(t)
	_, otherKey := ca.Client(t).Files(t)
	rows(t, func(t *testing.T, q *Quorum) {
		secure := "rediss://" + q.Servers[0].Addr + "?"
		for uri, want := range map[string]struct{ field, words string }{
			secure + "ssl_cert_reqs=maybe":                               {"nodes[0].ssl_cert_reqs", "CERT_REQUIRED"},
			secure + "ssl_ca_certs=/nowhere/ca.pem":                      {"nodes[0].ssl_ca_certs", "cannot be read"},
			secure + "ssl_ca_certs=" + key:                               {"nodes[0].ssl_ca_certs", "no certificate"},
			secure + "ssl_keyfile=" + key:                                {"nodes[0].ssl_keyfile", "ssl_certfile"},
			secure + "ssl_certfile=" + cert + "&ssl_keyfile=" + otherKey: {"nodes[0].ssl_certfile", "its key"},
			secure + "skip_verify=true":                                  {"nodes[0].skip_verify", "ssl_cert_reqs"},
			secure + "ssl=false":                                         {"nodes[0].ssl", "contradicts"},
			"redis://" + q.Servers[0].Addr + "?ssl_cert_reqs=none":       {"nodes[0].ssl", "rediss://"},
			"unix:///tmp/redis.sock?ssl=true":                            {"nodes[0].tls", "unix socket"},
		} {
			_, err := redlock.Open(uri)
			settingIsBad(t, uri, err, want.field, want.words)
		}
	})
}
