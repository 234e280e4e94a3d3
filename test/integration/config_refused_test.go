package integration

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

var place = regexp.MustCompile(`\[\d+\]`)

// checkSetting wants err to be about a field, in words. In the field, [i] stands
// for any place in a list.
func checkSetting(err error, field, words string) error {
	config, ok := errors.AsType[*redlock.ConfigError](err)
	if !ok {
		return fmt.Errorf("got %w (%T), want a *ConfigError for %s", err, err, field)
	}
	got := config.Field
	if strings.Contains(field, "[i]") {
		got = place.ReplaceAllString(got, "[i]")
	}
	if got != field || !strings.Contains(config.Msg, words) {
		return fmt.Errorf("got %q, %q; want %q, ...%s", config.Field, config.Msg, field, words)
	}
	return nil
}

// settingIsBad fails the test where checkSetting does.
func settingIsBad(t *testing.T, name string, err error, field, words string) {
	t.Helper()
	if err := checkSetting(err, field, words); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// refusesNodes wants the nodes, which all have the same fault, to give no lock and
// no key, and to be reported as badly configured, by name and in words.
func refusesNodes(t *testing.T, q *Quorum, nodes []redlock.Node, field, words string) {
	t.Helper()
	m := q.New(t, redlock.Config{Nodes: nodes})
	resource := q.Resource(t)
	wantsNoQuorum(t, m, resource)
	// A connection may take too long on a busy machine: the next one tells.
	eventually(t, 20*time.Second, func() error {
		err := m.Ping(t.Context())
		if bad := checkSetting(err, field, words); bad != nil {
			return bad
		}
		if !slices.ContainsFunc(nodes, func(n redlock.Node) bool { return names(err, n) }) {
			return fmt.Errorf("%w names none of %v", err, nodes)
		}
		return nil
	})
	_, err := m.TryLock(t.Context(), resource)
	settingIsBad(t, "TryLock", err, field, words)
	wantsNoQuorum(t, m, resource)
	q.WantFree(t, resource, 0)
}

// wantsNoQuorum wants the lock to be refused because the nodes cannot decide.
func wantsNoQuorum(t *testing.T, m *redlock.Manager, resource string) {
	t.Helper()
	if _, err := m.TryLock(t.Context(), resource); !errors.Is(err, redlock.ErrNoQuorum) {
		t.Errorf("got %v, want no quorum", err)
	}
}

// names reports whether err says which node it is about.
func names(err error, n redlock.Node) bool {
	return strings.Contains(err.Error(), n.String()) ||
		n.Master != "" && strings.Contains(err.Error(), "the master "+strconv.Quote(n.Master))
}

// hints wants the first use of the nodes to fail, in words that are only a hint.
func hints(t *testing.T, q *Quorum, nodes []redlock.Node, words string) {
	t.Helper()
	m := q.New(t, redlock.Config{Nodes: nodes})
	wantsNoQuorum(t, m, q.Resource(t))
	eventually(t, 20*time.Second, func() error {
		err := m.Ping(t.Context())
		if !errors.Is(err, redlock.ErrNoQuorum) || strings.Count(err.Error(), words) < len(nodes) {
			return fmt.Errorf("got %w, want %q for each node", err, words)
		}
		return nil
	})
}
