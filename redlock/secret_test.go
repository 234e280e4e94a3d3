package redlock

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestAServerThatDoesNotKnowAUTHIsNoReasonToShowThePassword(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		for _, command := range []string{"HELLO", "AUTH"} {
			r.nodes[0].FailWith(command, "ERR unknown command `"+command+"`, with args beginning with: `us3r`, `s3cret`, ")
		}
		for _, n := range []Node{
			{Host: "10.0.0.1", Password: "s3cret"},
			{Host: "10.0.0.1", Username: "us3r", Password: "s3cret"},
		} {
			mustHideItsPassword(t, r.manager(Config{Nodes: []Node{n}}))
		}
	})
}

// mustHideItsPassword wants a call to fail, and its error to show no
// credentials. It is for bubbles.
func mustHideItsPassword(t *testing.T, m *Manager) {
	t.Helper()
	for range 2 { // while it connects, and when it is down
		_, err := m.TryLock(t.Context(), "a")
		if text := fmt.Sprint(err); err == nil || strings.Contains(text, "s3cret") || strings.Contains(text, "us3r") {
			t.Errorf("got %v", err)
		}
		passTime(100 * time.Millisecond)
	}
}

// repeating fails as package net does for an address that it cannot use, and asks no
// name server: these errors repeat what they were given.
func repeating(_ context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err == nil {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return nil, &net.OpError{Op: "dial", Net: network, Err: err}
}

func TestAURIInPlaceOfTheAddressOfAClientIsNotRepeatedInErrors(t *testing.T) {
	for _, address := range []string{"redis://us3r:s3cret@h:1", "us3r:s3cret@h:1", "s3cret@h.invalid:1"} {
		synctest.Test(t, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{
				Addr: address, Dialer: repeating,
				MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}, // it looks names up
			})
			t.Cleanup(func() { _ = client.Close() })
			m, err := New(Config{Nodes: []Node{Client(client)}})
			if err != nil {
				t.Fatal(err)
			}
			mustHideItsPassword(t, m)
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestANodeThatIsDownForOneReasonIsOneLineHoweverOftenItIsProbed(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			a.Cut = c.Name == "INFO" // each time from another port of ours
			return a
		})
		if err := r.Ping(t.Context()); err == nil {
			t.Error("it answered")
		}
		passTime(time.Minute)
		if lines := strings.Count(log.String(), "\n"); lines != 1 {
			t.Errorf("%d lines:\n%s", lines, log.String())
		}
	}, WithLogger(logger))
}
