package redlock

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"
)

// UnmarshalJSON reads a Config whose keys are the names of its fields in snake
// case. Durations are strings as for [time.ParseDuration], nodes are what
// [ParseNodes] takes. A key that is left out changes nothing, null is the
// default, but for nodes, and an unknown key is an error. Every error is a
// *ConfigError.
func (c *Config) UnmarshalJSON(data []byte) error {
	v, err := decodeJSON(data, "config")
	if err != nil || v == nil {
		return err
	}
	return c.decode(v)
}

// UnmarshalYAML is UnmarshalJSON for decoders of YAML that look for a method of
// this form.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	v, err := decodeYAML(unmarshal, "config")
	if err != nil || v == nil {
		return err
	}
	return c.decode(v)
}

// UnmarshalJSON reads a URI, a pair [host, port] or a mapping; see
// [ParseNodes]. Every error is a *ConfigError.
func (n *Node) UnmarshalJSON(data []byte) error {
	v, err := decodeJSON(data, "node")
	if err != nil || v == nil {
		return err
	}
	return n.decode(v)
}

// UnmarshalYAML is UnmarshalJSON for decoders of YAML that look for a method of
// this form.
func (n *Node) UnmarshalYAML(unmarshal func(any) error) error {
	v, err := decodeYAML(unmarshal, "node")
	if err != nil || v == nil {
		return err
	}
	return n.decode(v)
}

func (n *Node) decode(v any) error {
	decoded, err := decodeNode(v, "node")
	if err == nil {
		*n = decoded
	}
	return err
}

func (c *Config) decode(v any) error {
	mapping, ok := mappingOf(v)
	if !ok {
		return setting{at: "config", value: v}.expected("a mapping")
	}
	decoded := *c
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		if err := decoded.set(key, setting{at: key, value: mapping[key]}); err != nil {
			return err
		}
	}
	*c = decoded
	return nil
}

func (c *Config) set(key string, s setting) (err error) {
	switch key {
	case "nodes":
		c.Nodes, err = decodeNodes(s.value, s.at)
	case "ttl":
		c.TTL, err = s.duration()
	case "node_timeout":
		c.NodeTimeout, err = s.duration()
	case "retry_delay_min":
		c.RetryDelayMin, err = s.duration()
	case "retry_delay_max":
		c.RetryDelayMax, err = s.duration()
	case "attempts":
		c.Attempts, err = s.integer(0, math.MaxInt)
	case "drift_factor":
		c.DriftFactor, err = s.float()
	case "margin":
		c.Margin, err = s.duration()
	case "key_prefix":
		c.KeyPrefix, err = s.text()
	case "owner":
		c.Owner, err = s.text()
	case "auto_renew":
		c.AutoRenew, err = s.boolean()
	case "renew_interval":
		c.RenewInterval, err = s.duration()
	case "restart_guard":
		c.RestartGuard, err = s.duration()
	default:
		if !isKey(key) {
			return configErrorf("config", "expected the names of settings as keys, got other text")
		}
		return configErrorf(key, "expected the name of a setting, got one that is not known")
	}
	return err
}

// decodeJSON keeps numbers as they are written, so that none is out of range
// here. The errors of package json repeat parts of the input, so they are not
// wrapped.
func decodeJSON(data []byte, at string) (v any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return nil, configErrorf(at, "expected valid JSON, got other text")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, configErrorf(at, "expected one value in JSON, but something follows it")
	}
	return v, nil
}

// decodeYAML does not wrap the decoder's error either: some quote the line.
func decodeYAML(unmarshal func(any) error, at string) (v any, err error) {
	if err := unmarshal(&v); err != nil {
		return nil, configErrorf(at, "expected valid YAML with each key once, got other text")
	}
	return v, nil
}
