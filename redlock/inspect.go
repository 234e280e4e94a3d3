package redlock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// State is what the nodes know about a resource. Its fields can be read;
// formatting and JSON shorten the token.
type State struct {
	Resource  string
	Locked    bool
	Token     string
	Owner     string
	Remaining time.Duration // negative: no expiry
	Fence     uint64        // 0: none
	Nodes     []NodeState   // in the order of Config.Nodes
}

// NodeState is what one node knows about a resource.
type NodeState struct {
	Node      string
	Token     string
	Owner     string
	Remaining time.Duration // negative: no expiry
	Err       error
}

// Inspect gives a *ConfigError: it is not available in this version.
func (m *Manager) Inspect(context.Context, string) (State, error) {
	return State{}, unavailable("Inspect")
}

// Resume gives a *ConfigError: it is not available in this version.
func (m *Manager) Resume(context.Context, string, string, ...LockOption) (*Lock, error) {
	return nil, unavailable("Resume")
}

// ForceUnlock gives a *ConfigError: it is not available in this version.
func (m *Manager) ForceUnlock(context.Context, string) error { return unavailable("ForceUnlock") }

// ForceUnlockAll gives a *ConfigError: it is not available in this version.
func (m *Manager) ForceUnlockAll(context.Context, string) (int, error) {
	return 0, unavailable("ForceUnlockAll")
}

// shorten leaves enough of a token to recognise it, and too little to use it.
func shorten(token string) string {
	if token == "" {
		return ""
	}
	return token[:min(8, len(token)/4)] + "..."
}

// plainState and plainNodeState are the same without methods, for printing.
type (
	plainState     State
	plainNodeState NodeState
)

func (s State) shortened() plainState {
	s.Token = shorten(s.Token)
	nodes := make([]NodeState, len(s.Nodes))
	for i, n := range s.Nodes {
		nodes[i] = NodeState(n.shortened())
	}
	s.Nodes = nodes
	return plainState(s)
}

func (s NodeState) shortened() plainNodeState {
	s.Token = shorten(s.Token)
	return plainNodeState(s)
}

// Format prints the state with its tokens shortened.
func (s State) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), s.shortened())
}

// Format prints the state with its token shortened.
func (s NodeState) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), s.shortened())
}

// MarshalJSON writes the state with its tokens shortened.
func (s State) MarshalJSON() ([]byte, error) { return json.Marshal(s.shortened()) }

// MarshalJSON writes the state with its token shortened.
func (s NodeState) MarshalJSON() ([]byte, error) {
	plain := s.shortened()
	plain.Err = nil
	written := struct {
		plainNodeState
		Err string `json:",omitempty"`
	}{plainNodeState: plain}
	if s.Err != nil {
		written.Err = s.Err.Error()
	}
	return json.Marshal(written)
}

// Format prints the lock's resource, a part of its token and its end.
func (l *Lock) Format(f fmt.State, _ rune) {
	if l == nil {
		fmt.Fprint(f, "<nil>")
		return
	}
	fmt.Fprintf(f, "redlock.Lock{%q token %s until %v}", l.resource, shorten(l.Token()), l.Until().Round(0))
}

// Format prints the names of the manager's nodes.
func (m *Manager) Format(f fmt.State, _ rune) {
	if m == nil {
		fmt.Fprint(f, "<nil>")
		return
	}
	fmt.Fprint(f, "redlock.Manager{")
	for i, n := range m.nodes {
		if i > 0 {
			fmt.Fprint(f, ", ")
		}
		fmt.Fprint(f, n.name)
	}
	fmt.Fprint(f, "}")
}
