package contract_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// The names that exist for what is yet to be built must not look as if they
// worked: each is refused, before anything is sent, under its own name.
func TestNamesOfLaterVersionsAreRefusedUnderTheirOwnName(t *testing.T) {
	nowhere := redlock.Config{Nodes: []redlock.Node{redlock.Addr("127.0.0.1", 1)}}
	m, err := redlock.New(nowhere)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for name, use := range map[string]func() error{
		"WithFence": func() error { _, err := m.TryLock(t.Context(), "a", redlock.WithFence()); return err },
		"RestartGuard": func() error {
			_, err := redlock.New(redlock.Config{Nodes: nowhere.Nodes, RestartGuard: time.Minute})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := use()
			var config *redlock.ConfigError
			if !errors.As(err, &config) {
				t.Fatalf("got %v, want a *ConfigError", err)
			}
			if !sameName(config.Field, name) || !strings.Contains(config.Msg, "not available in this version") {
				t.Errorf("got %v, want an error that says so of %s", err, name)
			}
		})
	}
}

// sameName takes a setting's name in a file for the same: auto_renew.
func sameName(field, name string) bool {
	return strings.EqualFold(strings.ReplaceAll(field, "_", ""), name)
}
