package integration

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// The password of these tests: what has to be escaped in a URI is in it too.
const hidden = "corr3ct-h%rse"

func TestNoPasswordShowsInAnythingThatIsPrintedOrLogged(t *testing.T) {
	rowsWith(t, 3, servers.Options{Password: hidden}, func(t *testing.T, q *Quorum) {
		var log notes
		for name, uri := range map[string]string{
			"without a user": "redis://:corr3ct-h%%25rse@127.0.0.1:%d",
			"with a user":    "redis://default:corr3ct-h%%25rse@127.0.0.1:%d",
			"in the query":   "redis://127.0.0.1:%d?password=corr3ct-h%%25rse",
		} {
			for i, s := range q.Servers {
				node, err := redlock.ParseNode(fmt.Sprintf(uri, s.Port))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				q.Nodes[i] = node
			}
			logger := slog.New(slog.NewTextHandler(&log, nil))
			cfg := redlock.Config{Nodes: q.Nodes}
			m := q.New(t, cfg, redlock.WithLogger(logger))
			lock := mustTry(t, m, q.Resource(t))
			logger.Info("what there is", "node", q.Nodes[0], "config", cfg, "manager", m, "lock", lock)
			for _, value := range []any{q.Nodes[0], &q.Nodes[0], q.Nodes, cfg, &cfg, m, lock} {
				wantNotShown(t, value)
			}
			mustUnlock(t, lock)
		}
		wantNotShownIn(t, "the log", log.String())
	})
}

func TestNoPasswordShowsInTheErrorOfAServerThatRefusesIt(t *testing.T) {
	rowsWith(t, 3, servers.Options{Password: "another"}, func(t *testing.T, q *Quorum) {
		var log notes
		for i := range q.Nodes {
			q.Nodes[i].Password = hidden
		}
		m := q.New(t, redlock.Config{}, redlock.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		_, err := m.TryLock(t.Context(), q.Resource(t))
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNotShown(t, err)
		wantNotShown(t, m.Ping(t.Context()))
		wantNotShownIn(t, "the log", log.String())
	})
}

func TestNoPasswordShowsInTheErrorOfABadURI(t *testing.T) {
	rows(t, func(t *testing.T, _ *Quorum) {
		for _, uri := range []string{
			"redis://:corr3ct-h%rse@127.0.0.1", "redis://u:corr3ct-h%25rse@127.0.0.1:port",
			"redis://127.0.0.1?password=corr3ct-h%25rse&password=corr3ct-h%25rse", "corr3ct-h%rse@127.0.0.1",
		} {
			_, err := redlock.ParseNode(uri)
			if err == nil {
				t.Errorf("%q is taken", uri)
			}
			wantNotShown(t, err)
		}
	})
}

// wantNotShown fails if any way of printing value shows the password.
func wantNotShown(t *testing.T, value any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s"} {
		wantNotShownIn(t, fmt.Sprintf("%T with %s", value, verb), fmt.Sprintf(verb, value))
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Errorf("%T as JSON: %v", value, err)
	}
	wantNotShownIn(t, fmt.Sprintf("%T as JSON", value), string(text))
}

func wantNotShownIn(t *testing.T, where, text string) {
	t.Helper()
	if strings.Contains(text, "corr3ct") {
		t.Errorf("%s shows the password: %s", where, text)
	}
}
