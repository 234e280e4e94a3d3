package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

func TestABadArgumentIsNamedAndChangesNothing(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		m, other := e.m, e.New(t, redlock.Config{})
		lock, resource := e.mustTake(t), e.Resource(t)
		e.quieten(t)
		sent := e.sentAny()
		ctx := t.Context()
		try := func(resource string, opts ...redlock.LockOption) error {
			_, err := m.TryLock(ctx, resource, opts...)
			return err
		}
		until := lock.Until()
		for name, bad := range map[string]struct {
			err   error
			field string
		}{
			"an empty resource":         {try(""), "resource"},
			"one above 1 KiB":           {try(strings.Repeat("r", 1025)), "resource"},
			"one of the library's own":  {try("redlock:{fence}"), "resource"},
			"a TTL within its drift":    {try(resource, redlock.WithTTL(2*time.Millisecond)), "ttl"},
			"a negative TTL":            {try(resource, redlock.WithTTL(-time.Second)), "ttl"},
			"negative attempts":         {try(resource, redlock.WithAttempts(-1)), "attempts"},
			"a negative limit":          {try(resource, redlock.WithMaxHold(-time.Second)), "WithMaxHold"},
			"a limit of nothing":        {try(resource, redlock.WithMaxHold(0)), "WithMaxHold"},
			"no function for pauses":    {try(resource, redlock.WithBackoff(nil)), "WithBackoff"},
			"an empty token":            {try(resource, redlock.WithToken("")), "token"},
			"a negative Extend":         {lock.Extend(ctx, -time.Second), "ttl"},
			"an Extend within drift":    {lock.Extend(ctx, time.Millisecond), "ttl"},
			"an ExtendBy of nothing":    {lock.ExtendBy(ctx, 0), "d"},
			"a negative ExtendBy":       {lock.ExtendBy(ctx, -time.Second), "d"},
			"a nil lock":                {m.Unlock(ctx, nil), "lock"},
			"a nil lock to extend":      {m.Extend(ctx, nil, 0), "lock"},
			"a lock of another manager": {other.Unlock(ctx, lock), "lock"},
			"to extend that one":        {other.Extend(ctx, lock, 0), "lock"},
			"no function for Do":        {m.Do(ctx, resource, nil), "fn"},
		} {
			e.part(t, name, func(t *testing.T) { wantConfigError(t, bad.err, bad.field) })
		}
		e.quieten(t)
		if n := e.sentAny() - sent; n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		if !lock.Valid() || !lock.Until().Equal(until) {
			t.Errorf("the lock is %v until %v, was until %v", lock.Err(), lock.Until(), until)
		}
		e.WantFree(t, resource, 0)
		e.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
		mustUnlock(t, lock)
	})
}

func TestABadSettingIsNamedBeforeAnythingIsSent(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		twice := slices.Concat(q.Nodes, q.Nodes[:1])
		second := func(spoil func(node *redlock.Node)) redlock.Config {
			nodes := slices.Clone(q.Nodes)
			spoil(&nodes[1])
			return redlock.Config{Nodes: nodes}
		}
		for name, bad := range map[string]struct {
			cfg   redlock.Config
			field string
		}{
			"negative TTL":           {redlock.Config{Nodes: q.Nodes, TTL: -1}, "ttl"},
			"TTL within its drift":   {redlock.Config{Nodes: q.Nodes, TTL: 2 * time.Millisecond}, "ttl"},
			"TTL within its margin":  {redlock.Config{Nodes: q.Nodes, Margin: 10 * time.Second}, "ttl"},
			"negative node timeout":  {redlock.Config{Nodes: q.Nodes, NodeTimeout: -1}, "node_timeout"},
			"negative delay":         {redlock.Config{Nodes: q.Nodes, RetryDelayMin: -1}, "retry_delay_min"},
			"negative longest delay": {redlock.Config{Nodes: q.Nodes, RetryDelayMax: -1}, "retry_delay_max"},
			"delays the wrong way":   {redlock.Config{Nodes: q.Nodes, RetryDelayMin: time.Hour}, "retry_delay_min"},
			"negative attempts":      {redlock.Config{Nodes: q.Nodes, Attempts: -1}, "attempts"},
			"negative drift":         {redlock.Config{Nodes: q.Nodes, DriftFactor: -0.1}, "drift_factor"},
			"drift of the whole":     {redlock.Config{Nodes: q.Nodes, DriftFactor: 1}, "drift_factor"},
			"negative margin":        {redlock.Config{Nodes: q.Nodes, Margin: -1}, "margin"},
			"negative interval":      {redlock.Config{Nodes: q.Nodes, RenewInterval: -1}, "renew_interval"},
			"too long an interval":   {redlock.Config{Nodes: q.Nodes, RenewInterval: time.Minute}, "renew_interval"},
			"no nodes":               {redlock.Config{Nodes: []redlock.Node{}}, "nodes"},
			"a node twice":           {redlock.Config{Nodes: twice}, "nodes[3]"},
			"an owner of two lines":  {redlock.Config{Nodes: q.Nodes, Owner: "a\nb"}, "owner"},
			"a prefix with a brace":  {redlock.Config{Nodes: q.Nodes, KeyPrefix: "redlock:{"}, "key_prefix"},
			"no host":                {second(func(node *redlock.Node) { node.Host = "" }), "nodes[1].host"},
			"a negative database":    {second(func(node *redlock.Node) { node.DB = -1 }), "nodes[1].db"},
			"a port out of range":    {second(func(node *redlock.Node) { node.Port = 65536 }), "nodes[1].port"},
			"negative replicas":      {second(func(node *redlock.Node) { node.Replicas = -1 }), "nodes[1].replicas"},
		} {
			q.part(t, name, func(t *testing.T) {
				_, err := redlock.New(bad.cfg)
				wantConfigError(t, err, bad.field)
			})
		}
		q.part(t, "an unknown key", func(t *testing.T) {
			_, err := redlock.ParseNodes([]any{"redis://h", map[string]any{"host": "h", "colour": "red"}})
			wantConfigError(t, err, "nodes[1].colour")
		})
	})
}

func TestAWrongPasswordIsABadSettingOfItsNode(t *testing.T) {
	rowsWith(t, 3, servers.Options{Password: "right"}, func(t *testing.T, q *Quorum) {
		for i := range q.Nodes {
			q.Nodes[i].Password = "right"
		}
		q.Nodes[1].Password = hidden
		m := q.New(t, redlock.Config{})
		eventually(t, 10*time.Second, func() error {
			err := m.Ping(t.Context())
			if err == nil || !strings.Contains(err.Error(), q.Servers[1].Addr) {
				return errors.New("Ping says: " + fmt.Sprint(err))
			}
			wantNotShown(t, err)
			return checkSetting(err, "nodes[1].password", "")
		})
		lock := mustTry(t, m, q.Resource(t)) // the others are a majority
		mustUnlock(t, lock)
	})
}

func TestAServerThatIsNoRedisIsNamed(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"an HTTP server": func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1024))
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		},
		"one that answers garbage": func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1024))
			_, _ = io.WriteString(conn, "what?\r\n")
		},
		"one that hangs up": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				d := startDoor(t, serve)
				q.Nodes[2] = redlock.Addr("127.0.0.1", d.port)
				m := q.New(t, redlock.Config{})
				place := fmt.Sprintf("127.0.0.1:%d", d.port)
				eventually(t, 10*time.Second, func() error {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					alone, err := redlock.New(redlock.Config{Nodes: q.Nodes[2:]})
					if err != nil {
						return err
					}
					defer alone.Close(ctx)
					if _, err = alone.TryLock(ctx, q.Resource(t)); err == nil || !strings.Contains(err.Error(), place) {
						return errors.New("TryLock says: " + fmt.Sprint(err))
					}
					return nil
				})
				lock := mustTry(t, m, q.Resource(t)) // the others are a majority
				mustUnlock(t, lock)
			})
		})
	}
}
