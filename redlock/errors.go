package redlock

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Each of these is a decision that a caller can take. They are matched with
// [errors.Is].
var (
	// ErrTaken says that someone else holds the resource, or that no contender
	// has a majority.
	ErrTaken = errors.New("redlock: taken")

	// ErrAlreadyHeld says that the resource is held under the very token that
	// the caller gave. It matches ErrTaken too.
	ErrAlreadyHeld error = &refinement{text: "redlock: already held", of: ErrTaken}

	// ErrNoQuorum says that too few nodes could decide: a silent or failing node
	// could have turned the vote, or the answers came too late to be trusted.
	ErrNoQuorum = errors.New("redlock: no quorum")

	// ErrNotHeld is what ErrExpired, ErrLost and ErrReleased match. Of a Resume it
	// says that a majority does not keep the lock under the token.
	ErrNotHeld = errors.New("redlock: not held")

	// ErrExpired says that the validity of the lock has passed.
	ErrExpired error = &refinement{text: "redlock: expired", of: ErrNotHeld}

	// ErrLost says that a majority of the nodes no longer keeps the lock.
	ErrLost error = &refinement{text: "redlock: lost", of: ErrNotHeld}

	// ErrReleased says that the lock was unlocked, or that its manager was closed.
	ErrReleased error = &refinement{text: "redlock: released", of: ErrNotHeld}

	// ErrNoExpiry says that a lock without expiry cannot be extended.
	ErrNoExpiry = errors.New("redlock: no expiry")

	// ErrClosed says that the manager is closed.
	ErrClosed = errors.New("redlock: closed")
)

// refinement is a sentinel that also matches a more general one.
type refinement struct {
	text string
	of   error
}

func (r *refinement) Error() string { return r.text }
func (r *refinement) Unwrap() error { return r.of }

// ConfigError reports a bad setting, or a bad argument of a call. Field names
// what is wrong, as a path where it lies inside a list: nodes[2].port. It is the
// setting's name in a file; of what no file can say it is the name of the
// argument, of the option or of the [Node]'s field. Msg says what was expected
// there, and what was found. Neither ever holds a secret.
type ConfigError struct{ Field, Msg string }

func (e *ConfigError) Error() string { return "redlock: " + e.Field + ": " + e.Msg }

// configErrorf makes a ConfigError: "expected WHAT, got WHAT", or "expected
// WHAT, but" and what speaks against it. The arguments must not hold a secret.
func configErrorf(field, format string, args ...any) *ConfigError {
	return &ConfigError{Field: field, Msg: fmt.Sprintf(format, args...)}
}

// QuorumError says how the nodes voted on a question that was not won. It
// unwraps to its verdict (ErrTaken, ErrNoQuorum, ErrLost; of a Resume ErrNotHeld
// or ErrExpired), to the context's error if that had ended on return, and to a
// *multierror.Error of *NodeError.
type QuorumError struct {
	// Op is the method: "lock", "extend", "unlock", "is locked", "is held", "ping",
	// "inspect", "resume", "force unlock", "force unlock all"; or "renew".
	Op       string
	Resource string

	// Yes, No and Failed count nodes, and add up to at most Total: what remains
	// had not answered when the votes had decided. Failed are the nodes without a
	// usable answer, those too that were not asked because they are known to be
	// down.
	Yes, No, Failed, Total int

	verdict error
	ended   error             // of the ctx
	nodes   *multierror.Error // nil: no node failed
}

func (e *QuorumError) Error() string {
	var b strings.Builder
	b.WriteString("redlock: " + e.Op)
	if e.Resource != "" {
		fmt.Fprintf(&b, " %q", e.Resource)
	}
	nodes := "nodes"
	if e.Total == 1 {
		nodes = "node"
	}
	fmt.Fprintf(&b, ": %s (%d yes, %d no, %d failed of %d %s)",
		plain(e.verdict), e.Yes, e.No, e.Failed, e.Total, nodes)
	if causes := e.causes(); len(causes) > 0 {
		b.WriteString(": " + strings.Join(causes, "; "))
	}
	return b.String()
}

// causes are the reasons for the verdict that the votes do not tell.
func (e *QuorumError) causes() (causes []string) {
	enough := errors.Is(e.verdict, ErrNoQuorum) && e.Yes >= majority(e.Total)
	switch {
	case enough && e.Op == "lock":
		causes = append(causes, "the answers came too late to be trusted (a longer TTL leaves more time)")
	case enough:
		causes = append(causes, "a majority did not confirm that each resource is gone")
	case errors.Is(e.verdict, ErrAlreadyHeld):
		causes = append(causes, "under the token that was given (Resume goes on with it)")
	}
	if e.ended != nil {
		causes = append(causes, e.ended.Error())
	}
	if e.nodes != nil {
		causes = append(causes, e.nodes.Error())
	}
	return causes
}

// Unwrap returns the verdict, the context's error and the nodes' errors, those
// of them that there are.
func (e *QuorumError) Unwrap() []error {
	errs := []error{e.verdict}
	if e.ended != nil {
		errs = append(errs, e.ended)
	}
	if e.nodes != nil {
		errs = append(errs, e.nodes)
	}
	return errs
}

// NodeError is the failure of one node, by its name.
type NodeError struct {
	Node string // host:port[/db], unix:path, or sentinel:<master name>; with its place if another has that name
	Err  error
}

func (e *NodeError) Error() string {
	var config *ConfigError
	if errors.As(e.Err, &config) {
		return config.Field + ": " + config.Msg // which names the node
	}
	return e.Node + ": " + e.Err.Error()
}

func (e *NodeError) Unwrap() error { return e.Err }

// oneLine joins node errors, for a log.
func oneLine(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = onOneLine(err.Error())
	}
	return strings.Join(lines, "; ")
}

// alsoEnded adds the error of a ctx that has ended to that of a call. A call
// that Close has cut short fails for that reason, and not for what Close did.
func (m *Manager) alsoEnded(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case m.open.Err() != nil:
		return ErrClosed
	case ctx.Err() == nil, errors.Is(err, ctx.Err()):
		return err
	}
	return fmt.Errorf("%w; %w", err, ctx.Err())
}

// endedIn is alsoEnded for a call for l. It adds the call and the resource where
// err does not say them: a lock that is over knows no more than why.
func (l *Lock) endedIn(ctx context.Context, op string, err error) error {
	if err != nil && !errors.As(err, new(*QuorumError)) && !errors.As(err, new(*callError)) {
		err = opError(op, l.resource, err)
	}
	return l.m.alsoEnded(ctx, err)
}

// alreadyHeld is the error of a call for a lock that this manager holds under
// the same token.
func alreadyHeld(op, resource string) error {
	return opError(op, resource, fmt.Errorf("%w by this manager", ErrAlreadyHeld))
}

// opError is the error of a call where no votes say more than err does.
func opError(op, resource string, err error) error { return &callError{op, resource, err} }

// callError says in which call an error came up.
type callError struct {
	op, resource string
	err          error
}

func (e *callError) Error() string {
	return fmt.Sprintf("redlock: %s %q: %s", e.op, e.resource, plain(e.err))
}

func (e *callError) Unwrap() error { return e.err }

// plain is the text of an error that stands inside another one of this library.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "redlock: ") }
