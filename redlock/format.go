package redlock

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// invalidNode is all that is shown of a Node that is not valid: it may hold a
// password in any field.
const invalidNode = "invalid node"

// String is what the node is called in errors and logs: host:port[/db],
// unix:path, sentinel:master, or a client's own address.
func (n Node) String() string {
	if n.validate("node") != nil {
		return invalidNode
	}
	return n.name()
}

// Format prints String with every verb, so that none shows a password.
func (n Node) Format(f fmt.State, verb rune) {
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), n.String())
}

// LogValue is String.
func (n Node) LogValue() slog.Value { return slog.StringValue(n.String()) }

// MarshalJSON writes the mapping that UnmarshalJSON reads. User names,
// passwords, Credentials and the Dialer are left out, and so is all of TLS but
// that it is on: what is read back is the same node without these. A node made
// by [Client] cannot be read back.
func (n Node) MarshalJSON() ([]byte, error) { return json.Marshal(n.file()) }

// MarshalYAML is MarshalJSON for encoders of YAML that look for a method of
// this form.
func (n Node) MarshalYAML() (any, error) { return n.file(), nil }

// nodeFile is what may be shown of a Node.
type nodeFile struct {
	Client      string   `json:"client,omitempty" yaml:"client,omitempty"`
	Host        string   `json:"host,omitempty" yaml:"host,omitempty"`
	Port        int      `json:"port,omitempty" yaml:"port,omitempty"`
	Socket      string   `json:"socket,omitempty" yaml:"socket,omitempty"`
	DB          int      `json:"db,omitempty" yaml:"db,omitempty"`
	TLS         bool     `json:"tls,omitempty" yaml:"tls,omitempty"`
	Sentinels   []string `json:"sentinels,omitempty" yaml:"sentinels,omitempty"`
	Master      string   `json:"master,omitempty" yaml:"master,omitempty"`
	SentinelTLS bool     `json:"sentinel_tls,omitempty" yaml:"sentinel_tls,omitempty"`
	Replicas    int      `json:"replicas,omitempty" yaml:"replicas,omitempty"`
	Timeout     string   `json:"timeout,omitempty" yaml:"timeout,omitempty"`
	ClientName  string   `json:"client_name,omitempty" yaml:"client_name,omitempty"`
}

func (n Node) file() any {
	if n.validate("node") != nil {
		return invalidNode
	}
	if n.client != nil {
		return nodeFile{Client: n.name()}
	}
	return nodeFile{
		Host: n.Host, Port: n.Port, Socket: n.Socket, DB: n.DB, TLS: n.TLS || n.TLSConfig != nil,
		Sentinels: n.Sentinels, Master: n.Master, SentinelTLS: n.SentinelTLS, Replicas: n.Replicas,
		Timeout: durationText(n.connectTimeout), ClientName: n.clientName,
	}
}

// String is the Config as JSON, without the credentials of its nodes.
func (c Config) String() string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(c.file()); err != nil {
		return "invalid config" // a number that JSON has not: NaN
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// MarshalJSON writes what UnmarshalJSON reads, less what a Node leaves out.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.file()) }

// MarshalYAML is MarshalJSON for encoders of YAML that look for a method of
// this form.
func (c Config) MarshalYAML() (any, error) { return c.file(), nil }

// configFile is a Config with its durations written out.
type configFile struct {
	Nodes         []Node  `json:"nodes,omitzero" yaml:"nodes,omitempty"`
	TTL           string  `json:"ttl,omitempty" yaml:"ttl,omitempty"`
	NodeTimeout   string  `json:"node_timeout,omitempty" yaml:"node_timeout,omitempty"`
	RetryDelayMin string  `json:"retry_delay_min,omitempty" yaml:"retry_delay_min,omitempty"`
	RetryDelayMax string  `json:"retry_delay_max,omitempty" yaml:"retry_delay_max,omitempty"`
	Attempts      int     `json:"attempts,omitempty" yaml:"attempts,omitempty"`
	DriftFactor   float64 `json:"drift_factor,omitempty" yaml:"drift_factor,omitempty"`
	Margin        string  `json:"margin,omitempty" yaml:"margin,omitempty"`
	KeyPrefix     string  `json:"key_prefix,omitempty" yaml:"key_prefix,omitempty"`
	Owner         string  `json:"owner,omitempty" yaml:"owner,omitempty"`
	AutoRenew     bool    `json:"auto_renew,omitempty" yaml:"auto_renew,omitempty"`
	RenewInterval string  `json:"renew_interval,omitempty" yaml:"renew_interval,omitempty"`
	RestartGuard  string  `json:"restart_guard,omitempty" yaml:"restart_guard,omitempty"`
}

func (c Config) file() configFile {
	return configFile{
		Nodes: c.Nodes, TTL: durationText(c.TTL), NodeTimeout: durationText(c.NodeTimeout),
		RetryDelayMin: durationText(c.RetryDelayMin), RetryDelayMax: durationText(c.RetryDelayMax),
		Attempts: c.Attempts, DriftFactor: c.DriftFactor, Margin: durationText(c.Margin),
		KeyPrefix: c.KeyPrefix, Owner: c.Owner, AutoRenew: c.AutoRenew,
		RenewInterval: durationText(c.RenewInterval), RestartGuard: durationText(c.RestartGuard),
	}
}

// durationText is empty for the zero that means the default.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
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

// shortened leaves the nodes to their own methods.
func (s State) shortened() plainState {
	s.Token = shorten(s.Token)
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
