package servers_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/test/servers"
)

// each runs a test on every kind.
func each(t *testing.T, test func(t *testing.T, kind servers.Kind)) {
	t.Helper()
	for _, kind := range servers.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

func TestAKilledServerComesBackEmptyUnderItsAddress(t *testing.T) {
	each(t, func(t *testing.T, kind servers.Kind) {
		s := servers.Start(t, kind, servers.Options{})
		set(t, s, "key")
		s.Kill(t)
		if err := s.Client.Ping(t.Context()).Err(); err == nil {
			t.Error("a killed server answers")
		}
		s.Restart(t)
		if exists(t, s, "key") {
			t.Error("a server without persistence has kept a key")
		}
	})
}

func TestADurableServerKeepsItsKeysThroughAKill(t *testing.T) {
	each(t, func(t *testing.T, kind servers.Kind) {
		s := servers.Start(t, kind, servers.Options{Durable: true})
		set(t, s, "key")
		s.Restart(t)
		if !exists(t, s, "key") {
			t.Error("the key is gone")
		}
	})
}

func TestAPausedServerExecutesLaterWhatItWasSent(t *testing.T) {
	each(t, func(t *testing.T, kind servers.Kind) {
		s := servers.Start(t, kind, servers.Options{})
		set(t, s, "warm") // a connection is open now
		s.Pause(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if s.Client.Set(ctx, "late", "1", 0).Err() == nil {
			t.Error("a paused server answers")
		}
		s.Continue(t)
		if !exists(t, s, "late") {
			t.Error("the command of the pause was not executed")
		}
	})
}

func TestAServerRefusesWhatItsOptionsDoNotAllow(t *testing.T) {
	ca := servers.NewCA(t)
	password := servers.Options{Password: "pw"}
	user := servers.Options{Users: []string{"u on >pw +@all"}}
	secure := servers.Options{TLS: &servers.TLS{CA: ca, Cert: ca.Server(t), ClientCert: true}}
	expired := servers.Options{TLS: &servers.TLS{CA: ca, Cert: ca.Expired(t)}}
	wrongName := servers.Options{TLS: &servers.TLS{CA: ca, Cert: ca.WrongName(t)}}
	cases := map[string]struct {
		options servers.Options
		client  redis.Options
		refused bool
	}{
		"password":          {password, redis.Options{Password: "pw"}, false},
		"no password":       {password, redis.Options{}, true},
		"user":              {user, redis.Options{Username: "u", Password: "pw"}, false},
		"default user":      {user, redis.Options{}, true},
		"certificate":       {secure, redis.Options{TLSConfig: ca.Config(t, ca.Client(t))}, false},
		"no certificate":    {secure, redis.Options{TLSConfig: ca.Config(t)}, true},
		"another authority": {secure, redis.Options{TLSConfig: servers.NewCA(t).Config(t)}, true},
		"no TLS":            {secure, redis.Options{}, true},
		"expired":           {expired, redis.Options{TLSConfig: ca.Config(t)}, true},
		"wrong name":        {wrongName, redis.Options{TLSConfig: ca.Config(t)}, true},
	}
	each(t, func(t *testing.T, kind servers.Kind) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				s := servers.Start(t, kind, c.options)
				err := ping(t, s.Addr, c.client)
				if refused := err != nil; refused != c.refused {
					t.Errorf("refused: %t, want %t (%v)", refused, c.refused, err)
				}
			})
		}
	})
}

func TestAServerListensOnAUnixSocket(t *testing.T) {
	each(t, func(t *testing.T, kind servers.Kind) {
		s := servers.Start(t, kind, servers.Options{Socket: true})
		if err := ping(t, s.Socket, redis.Options{Network: "unix"}); err != nil {
			t.Error(err)
		}
	})
}

func TestTheWallClockOfAServerCanBeMoved(t *testing.T) {
	each(t, func(t *testing.T, kind servers.Kind) {
		s := servers.Start(t, kind, servers.Options{Clock: true})
		if err := s.Client.Set(t.Context(), "key", "1", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		s.SetClock(t, -time.Hour)
		if left := s.Client.PTTL(t.Context(), "key").Val(); left < time.Hour {
			t.Errorf("with the clock an hour back %v are left", left)
		}
		s.SetClock(t, 2*time.Minute)
		if exists(t, s, "key") {
			t.Error("with the clock past its end the key is still there")
		}
	})
}

func TestSentinelsPromoteTheReplicaOfAMaster(t *testing.T) {
	each(t, func(t *testing.T, kind servers.Kind) {
		s := servers.StartSentinels(t, kind, servers.SentinelOptions{
			Masters: []string{"told", "paused"}, DownAfter: 500 * time.Millisecond,
		})
		told, paused := s.Groups[0], s.Groups[1]
		first, silent := told.Master(t), paused.Master(t)

		told.Failover(t)
		if told.Master(t) == first || told.Replica(t) != first {
			t.Error("Sentinel was told to fail over and has not")
		}
		if paused.Master(t) != silent {
			t.Error("another group has failed over too")
		}
		silent.Pause(t)
		paused.AwaitFailover(t, silent)
		if paused.Master(t) == silent {
			t.Error("the paused master is still the master")
		}
	})
}

// One kind stands for all: what is tested here is the configuration that the
// harness writes, which is the same for each.
func TestSentinelAndMasterHaveCredentialsAndAuthoritiesOfTheirOwn(t *testing.T) {
	masterCA, sentinelCA := servers.NewCA(t), servers.NewCA(t)
	masterTLS := &servers.TLS{CA: masterCA, Cert: masterCA.Server(t), ClientCert: true}
	sentinelTLS := &servers.TLS{CA: sentinelCA, Cert: sentinelCA.Server(t)}
	for name, options := range map[string]servers.SentinelOptions{
		"passwords": {Password: "sentinel", Master: servers.Options{Password: "master"}},
		"users": {
			Users:  []string{"u on >pw ~* &* +@all"},
			Master: servers.Options{Users: []string{"v on >pw ~* &* +@all"}},
		},
		"TLS of both":     {TLS: sentinelTLS, Master: servers.Options{TLS: masterTLS}},
		"TLS of Sentinel": {TLS: sentinelTLS},
		"TLS of masters":  {Master: servers.Options{TLS: masterTLS}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := servers.StartSentinels(t, servers.Redis80, options)
			master := s.Groups[0].Master(t)
			s.Groups[0].Failover(t)
			if s.Groups[0].Replica(t) != master {
				t.Error("the old master is not the replica")
			}
		})
	}
}

func ping(t *testing.T, addr string, options redis.Options) error {
	t.Helper()
	options.Addr = addr
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.Protocol = 2
	client := redis.NewClient(&options)
	defer func() { _ = client.Close() }()
	return client.Ping(t.Context()).Err()
}

func set(t *testing.T, s *servers.Server, key string) {
	t.Helper()
	if err := s.Client.Set(t.Context(), key, "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func exists(t *testing.T, s *servers.Server, key string) bool {
	t.Helper()
	n, err := s.Client.Exists(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}
