package fakeredis

import (
	"cmp"
	"testing"

	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A rig that go-redis does not take for a server proves nothing.
func TestGoRedisMakesItsHandshake(t *testing.T) {
	for _, tc := range []struct {
		name       string
		user       string
		password   string
		noIdentity bool
	}{
		{name: "open"},
		{name: "open, without identity", noIdentity: true},
		{name: "password", password: "secret"},
		{name: "password, without identity", password: "secret", noIdentity: true},
		{name: "user", user: "alice", password: "hers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Node) {
				if tc.password != "" {
					n.SetUser(cmp.Or(tc.user, "default"), tc.password)
				}
				if tc.user != "" {
					n.SetPassword("another")
				}
				client := redis.NewClient(&redis.Options{
					Addr:                     address,
					Dialer:                   n.net.DialContext,
					Protocol:                 2,
					Username:                 tc.user,
					Password:                 tc.password,
					DB:                       3,
					ClientName:               "me",
					PoolSize:                 1,
					MaxRetries:               -1,
					DisableIdentity:          tc.noIdentity,
					MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
				})
				defer func() { _ = client.Close() }()
				ctx := t.Context()
				if err := client.SetNX(ctx, "k", "v", time.Second).Err(); err != nil {
					t.Fatal(err)
				}
				name, err := client.ClientGetName(ctx).Result()
				if err != nil || name != "me" {
					t.Errorf("name %q, %v", name, err)
				}
				passTime(time.Second)
				equal(t, "keys after a second", client.Exists(ctx, "k").Val(), 0)
				script := redis.NewScript("return redis.call('SET', KEYS[1], 'w')")
				if err := script.Run(ctx, client, []string{"k"}).Err(); err != nil {
					t.Error(err)
				}
				equal(t, "in database 0", n.Exists("k"), false)
				equal(t, "HELLO", n.Executed("HELLO"), 1)
				equal(t, "AUTH after HELLO", n.Executed("AUTH"), 0)
				equal(t, "tells its name", n.Executed("CLIENT|SETINFO") > 0, !tc.noIdentity)
			})
		})
	}
}

func TestGoRedisSubscribesAndIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		client := redis.NewClient(&redis.Options{Addr: address, Dialer: n.net.DialContext, Protocol: 2})
		defer func() { _ = client.Close() }()
		ctx := t.Context()
		sub := client.Subscribe(ctx, "news", "sports")
		defer func() { _ = sub.Close() }()
		for i, channel := range []string{"news", "sports"} {
			got, err := sub.Receive(ctx)
			want := redis.Subscription{Kind: "subscribe", Channel: channel, Count: i + 1}
			if ack, ok := got.(*redis.Subscription); !ok || *ack != want {
				t.Fatal(got, err)
			}
		}
		publish := redis.NewScript("return redis.call('PUBLISH', KEYS[1], ARGV[1])")
		receivers, err := publish.Run(ctx, client, []string{"news"}, "hello").Int()
		if err != nil || receivers != 1 {
			t.Fatal(receivers, err)
		}
		message, err := sub.ReceiveMessage(ctx)
		if err != nil || message.Channel != "news" || message.Payload != "hello" {
			t.Fatal(message, err)
		}
		messages := sub.Channel() // pings the node while nothing comes
		passTime(time.Minute)
		equal(t, "PINGs", n.Executed("PING") > 0, true)
		if err := sub.Unsubscribe(ctx, "news"); err != nil {
			t.Fatal(err)
		}
		equal(t, "receivers", client.Publish(ctx, "sports", "1:0").Val(), 1)
		equal(t, "payload", (<-messages).Payload, "1:0")
		equal(t, "receivers of what it has left", client.Publish(ctx, "news", "late").Val(), 0)
		equal(t, "dials", len(n.Conns()), 2)
	})
}
