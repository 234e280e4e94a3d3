package integration

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// withUsers are Sentinels and masters that know one user each, and may have TLS.
func withUsers(t *testing.T, masters, sentinels *servers.CA) servers.SentinelOptions {
	options := servers.SentinelOptions{
		Masters: leaders, Users: []string{"asker on >askers ~* &* +@all"},
		Master: servers.Options{Users: []string{"locker on >lockers ~* &* +@all"}},
	}
	if masters != nil {
		options.Master.TLS = &servers.TLS{CA: masters, Cert: masters.Server(t)}
	}
	if sentinels != nil {
		options.TLS = &servers.TLS{CA: sentinels, Cert: sentinels.Server(t)}
	}
	return options
}

// withLogin is a form that logs in as those users; query is what else is set.
func withLogin(scheme, query string) sentinelForm {
	return func(s []*servers.Server, master string) any {
		return scheme + "://locker:lockers@" + hosts(s) + "?sentinel_username=asker&sentinel_password=askers" + query +
			"&master=" + master
	}
}

func TestTLSOfTheMasterIsNotSentinels(t *testing.T) {
	t.Parallel()
	ca := servers.NewCA(t)
	rowsBehindSentinel(t, withUsers(t, ca, nil), func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		trusted := "&ssl_ca_certs=" + escaped(ca.File(t))
		eachSentinelFormLocks(t, q, s, map[string]sentinelForm{
			"URI":            withLogin("rediss", trusted),
			"URI, unchecked": withLogin("rediss", "&ssl_cert_reqs=CERT_NONE"),
			"mapping": func(s []*servers.Server, master string) any {
				return mapping{"sentinels": []any{s[0].Addr, s[1].Addr}, "master": master, "ssl": true,
					"ssl_ca_certs": ca.File(t), "username": "locker", "password": "lockers",
					"sentinel_username": "asker", "sentinel_password": "askers"}
			},
		})
		hints(t, q, sentinelNodes(t, s, withLogin("rediss", "&sentinel_tls=true"+trusted)), "not speak TLS")
		unknown := sentinelNodes(t, s, withLogin("rediss", "&ssl_cert_reqs=required"))
		refusesNodes(t, q, unknown, "nodes[i].tls", "unknown authority")
	})
}

func TestSentinelHasAUserAndTLSOfItsOwn(t *testing.T) {
	t.Parallel()
	masters, sentinels := servers.NewCA(t), servers.NewCA(t)
	both := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(both, slices.Concat(masters.PEM, sentinels.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	trust := func(file string) string { return "&sentinel_tls=true&ssl_ca_certs=" + escaped(file) }
	rowsBehindSentinel(t, withUsers(t, masters, sentinels), func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		eachSentinelFormLocks(t, q, s, map[string]sentinelForm{"URI": withLogin("rediss", trust(both))})
		for _, bad := range []struct {
			form         sentinelForm
			field, words string
		}{
			{withLogin("rediss", trust(masters.File(t))), "nodes[i].sentinel_tls", "unknown authority"},
			{withLogin("rediss", trust(sentinels.File(t))), "nodes[i].tls", "unknown authority"},
			{withLogin("redis", "&sentinel_tls=true"), "nodes[i].sentinel_tls", "unknown authority"},
		} {
			refusesNodes(t, q, sentinelNodes(t, s, bad.form), bad.field, bad.words)
		}
		hints(t, q, sentinelNodes(t, s, withLogin("rediss", "&ssl_ca_certs="+escaped(both))), "wants TLS")
	})
}

// sentinelNodes are the nodes that a form writes.
func sentinelNodes(t *testing.T, s *servers.Sentinels, form sentinelForm) []redlock.Node {
	t.Helper()
	entries := make([]any, len(leaders))
	for i, master := range leaders {
		entries[i] = form(s.Servers, master)
	}
	nodes, err := redlock.ParseNodes(entries)
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}
