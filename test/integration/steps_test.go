package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/test/proxy"
)

// Steps that tests of many rows take.

// awaitEnd returns when the lock, or a context of it, is over.
func awaitEnd(t testing.TB, ends interface{ Done() <-chan struct{} }) {
	t.Helper()
	select {
	case <-ends.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("it does not end: %v", ends)
	}
}

// holdBack keeps commands called name, and what follows them, until letGo.
func holdBack(name string, proxies ...*proxy.Proxy) {
	for _, p := range proxies {
		p.Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToServer && m.Name == name {
				return proxy.Hold
			}
			return proxy.Pass
		})
	}
}

func letGo(proxies ...*proxy.Proxy) {
	for _, p := range proxies {
		p.Handle(nil)
		p.Release()
	}
}

// awaitCommand returns when each proxy was sent a command called name.
func awaitCommand(t *testing.T, name string, proxies ...*proxy.Proxy) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		for i, p := range proxies {
			if p.Count(name) == 0 {
				return fmt.Errorf("proxy %d was sent no %s", i, name)
			}
		}
		return nil
	})
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
