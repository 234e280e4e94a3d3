package redlock

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/redis/go-redis/v9"
)

// ParseNodes reads nodes from whatever a program or a loader of configuration
// has them in: a slice of any type whose elements are nodes, or a single node.
// A node is a URI as for [ParseNode], a pair of host and port, a mapping, a
// [Node] or a client as for [Client]; forms can be mixed. What was read from
// JSON or YAML into an any is taken as it is, and so is a [json.RawMessage].
//
// A string is the form of an environment variable: nodes are separated by white
// space, or by a comma that a scheme or a slash follows. Where there is no
// scheme, every comma separates.
//
// The keys of a mapping are host, port, socket, db, username, password, timeout
// (of connecting: seconds or a duration), ssl or tls, ssl_cert_reqs,
// ssl_ca_certs, ssl_certfile, ssl_keyfile, sentinels, master,
// sentinel_username, sentinel_password, sentinel_tls, replicas and client_name.
// With a master, host and port are those of a Sentinel. The keys encoding,
// minsize and maxsize are checked and ignored.
//
// Every error is a *ConfigError whose Field says where: nodes[2].port.
func ParseNodes(v any) ([]Node, error) { return decodeNodes(v, "nodes") }

func decodeNodes(v any, at string) ([]Node, error) {
	entries, err := nodeEntries(v, at)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, configErrorf(at, "expected at least one node, got an empty list")
	}
	nodes := make([]Node, len(entries))
	for i, entry := range entries {
		if nodes[i], err = decodeNode(entry, atIndex(at, i)); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// nodeEntries makes a list of v. A pair stands inside a list: [host, port]
// alone is a list with a bad second entry.
func nodeEntries(v any, at string) ([]any, error) {
	switch v := v.(type) {
	case Node, *Node, redis.UniversalClient:
		return []any{v}, nil
	case json.RawMessage:
		decoded, err := decodeJSON(v, at)
		if err != nil {
			return nil, err
		}
		return nodeEntries(decoded, at)
	}
	if text, ok := stringOf(v); ok {
		return splitNodes(text), nil
	}
	if _, ok := mappingOf(v); ok {
		return []any{v}, nil
	}
	if _, _, err := (setting{value: v}).pair(); err == nil {
		return nil, configErrorf(atIndex(at, 1), "expected a node, got a port: a pair stands inside a list, [[host, port]]")
	}
	if list, ok := listOf(v); ok {
		return list, nil
	}
	return nil, setting{at: at, value: v}.expected("a list of nodes")
}

// splitNodes reads the form of an environment variable. Commas also stand
// between the Sentinels of one URI.
func splitNodes(text string) []any {
	anyScheme := strings.Contains(text, ":/")
	var entries []any
	fields := strings.Fields(text)
	for i, field := range fields {
		// A comma beside white space belongs to it.
		if i > 0 {
			field = strings.TrimPrefix(field, ",")
		}
		if i < len(fields)-1 {
			field = strings.TrimSuffix(field, ",")
		}
		if field == "" {
			continue
		}
		start := 0
		for end := range len(field) {
			if field[end] == ',' && (!anyScheme || startsNode(field[end+1:])) {
				entries = append(entries, field[start:end])
				start = end + 1
			}
		}
		entries = append(entries, field[start:])
	}
	return entries
}

// startsNode reports whether text begins with a slash or a scheme.
func startsNode(text string) bool {
	scheme, _, ok := strings.Cut(text, ":/")
	return strings.HasPrefix(text, "/") || ok && scheme != "" && !strings.ContainsFunc(scheme, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("+-.", r)
	})
}

func decodeNode(v any, at string) (Node, error) {
	switch v := v.(type) {
	case Node:
		return v, v.validate(at)
	case *Node:
		if v != nil {
			return *v, v.validate(at)
		}
	case redis.UniversalClient:
		n := Client(v)
		return n, n.validate(at)
	}
	if text, ok := stringOf(v); ok {
		return parseNode(text, at)
	}
	if mapping, ok := mappingOf(v); ok {
		return decodeMapping(mapping, at)
	}
	if _, ok := listOf(v); ok {
		return decodePair(v, at)
	}
	return Node{}, setting{at: at, value: v}.expected("a URI, a pair [host, port] or a mapping")
}

func decodePair(v any, at string) (Node, error) {
	host, port, err := setting{at: at, value: v}.pair()
	if err != nil {
		return Node{}, err
	}
	n := Addr(host, port)
	return n, n.validate(at)
}

func decodeMapping(mapping map[string]any, at string) (Node, error) {
	d := newDraft(at, false)
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		if err := d.set(key, mapping[key]); err != nil {
			return Node{}, err
		}
	}
	return d.finish()
}

// atIndex is where an element of a list stands.
func atIndex(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
