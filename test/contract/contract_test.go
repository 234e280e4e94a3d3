// Package contract_test holds the names that programs are written against. That
// it compiles is most of the test: each name is used with its exact type.
package contract_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redlock-go/redlock/redlock"
)

// Functions.
var (
	_ func(...string) (*redlock.Manager, error)                         = redlock.Open
	_ func(redlock.Config, ...redlock.Option) (*redlock.Manager, error) = redlock.New
	_ func(string, int) redlock.Node                                    = redlock.Addr
	_ func(string) (redlock.Node, error)                                = redlock.ParseNode
	_ func(any) ([]redlock.Node, error)                                 = redlock.ParseNodes
	_ func(redis.UniversalClient) redlock.Node                          = redlock.Client
)

// Options.
var (
	_ func(*slog.Logger) redlock.Option                        = redlock.WithLogger
	_ func(redlock.Hooks) redlock.Option                       = redlock.WithHooks
	_ func(time.Duration) redlock.LockOption                   = redlock.WithTTL
	_ func() redlock.LockOption                                = redlock.WithNoExpiry
	_ func() redlock.LockOption                                = redlock.WithAutoRenew
	_ func(time.Duration) redlock.LockOption                   = redlock.WithMaxHold
	_ func(string) redlock.LockOption                          = redlock.WithToken
	_ func(int) redlock.LockOption                             = redlock.WithAttempts
	_ func(func(attempt int) time.Duration) redlock.LockOption = redlock.WithBackoff
	_ func(any) redlock.LockOption                             = redlock.WithCarry
	_ func() redlock.LockOption                                = redlock.WithFence
	_ func() redlock.LockOption                                = redlock.WithIgnoreReleaseError
)

// The manager's methods, as an interface: a method with another signature, or on
// another receiver, does not fit.
var _ interface {
	Lock(ctx context.Context, resource string, opts ...redlock.LockOption) (*redlock.Lock, error)
	TryLock(ctx context.Context, resource string, opts ...redlock.LockOption) (*redlock.Lock, error)
	Do(
		ctx context.Context, resource string,
		fn func(context.Context, *redlock.Lock) error, opts ...redlock.LockOption,
	) error
	Extend(ctx context.Context, lock *redlock.Lock, ttl time.Duration) error
	Unlock(ctx context.Context, lock *redlock.Lock) error
	IsLocked(ctx context.Context, resource string) (bool, error)
	Resume(ctx context.Context, resource, token string, opts ...redlock.LockOption) (*redlock.Lock, error)
	Inspect(ctx context.Context, resource string) (redlock.State, error)
	ForceUnlock(ctx context.Context, resource string) error
	ForceUnlockAll(ctx context.Context, prefix string) (int, error)
	Held() []*redlock.Lock
	Ping(ctx context.Context) error
	Close(ctx context.Context) error
} = (*redlock.Manager)(nil)

// The methods of a lock.
var _ interface {
	Resource() string
	Token() string
	TTL() time.Duration
	Until() time.Time
	Remaining() time.Duration
	Valid() bool
	Done() <-chan struct{}
	Err() error
	Context(parent context.Context) context.Context
	Fence() uint64
	Carry() any
	Extend(ctx context.Context, ttl time.Duration) error
	ExtendBy(ctx context.Context, d time.Duration) error
	Unlock(ctx context.Context) error
	IsHeld(ctx context.Context) (bool, error)
} = (*redlock.Lock)(nil)

// The methods of the errors.
var (
	_ interface {
		error
		Unwrap() []error
	} = (*redlock.QuorumError)(nil)
	_ interface {
		error
		Unwrap() error
	} = (*redlock.NodeError)(nil)
	_ error = (*redlock.ConfigError)(nil)
)

// The fields, each with its exact type: none of the values is a bare constant.
var (
	text     string
	number   int
	yes      bool
	fraction float64
	fence    uint64
	span     time.Duration

	_ = redlock.Config{
		Nodes: []redlock.Node(nil), TTL: span, NodeTimeout: span, RetryDelayMin: span, RetryDelayMax: span,
		Attempts: number, DriftFactor: fraction, Margin: span, KeyPrefix: text, Owner: text,
		AutoRenew: yes, RenewInterval: span, RestartGuard: span,
	}
	_ = redlock.Node{
		Host: text, Port: number, Socket: text, DB: number, Username: text, Password: text,
		Credentials: func(context.Context) (username, password string, err error) { return "", "", nil },
		TLS:         yes, TLSConfig: (*tls.Config)(nil),
		Sentinels: []string(nil), Master: text, SentinelUsername: text, SentinelPassword: text, SentinelTLS: yes,
		Replicas: number,
	}
	_ = redlock.State{
		Resource: text, Locked: yes, Token: text, Owner: text, Remaining: span, Fence: fence,
		Nodes: []redlock.NodeState(nil),
	}
	_ = redlock.NodeState{Node: text, Token: text, Owner: text, Remaining: span, Err: error(nil)}
	_ = redlock.QuorumError{Op: text, Resource: text, Yes: number, No: number, Failed: number, Total: number}
	_ = redlock.NodeError{Node: text, Err: error(nil)}
	_ = redlock.ConfigError{Field: text, Msg: text}
	_ = redlock.Hooks{}
)
