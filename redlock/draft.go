package redlock

import (
	"cmp"
	"math"
	"strings"
)

// draft is a Node that is being read, from a mapping or from a URI. Both come
// down to the same settings: their names are known here and nowhere else.
type draft struct {
	Node

	at    string // where the node stands, such as nodes[2]
	inURI bool
	given map[string]string // setting -> the name that it was given under
	files tlsFiles

	minSize, maxSize int

	// unsure is set where a part of a password may be taken for a key, because
	// the password was not percent-encoded.
	unsure bool
}

func newDraft(at string, inURI bool) *draft {
	return &draft{at: at, inURI: inURI, given: make(map[string]string)}
}

// secondName gives the settings that have two names.
var secondName = map[string]string{"ssl": "tls", "dial_timeout": "timeout"}

// set takes one setting. What is null counts as left out.
func (d *draft) set(key string, value any) error {
	s := setting{at: d.at + "." + key, value: value, inURI: d.inURI}
	what := cmp.Or(secondName[key], key)
	switch before, given := d.given[what]; {
	case given && before == key:
		return configErrorf(s.at, "expected once, but is given twice")
	case given:
		return configErrorf(s.at, "expected once, but %s is the same setting, and is given too", before)
	case value != nil:
		d.given[what] = key
	}
	return d.assign(key, s)
}

func (d *draft) assign(key string, s setting) (err error) {
	switch key {
	case "host":
		d.Host, err = s.word()
	case "port":
		d.Port, err = s.integer(1, maxPort)
	case "socket":
		d.Socket, err = s.word()
	case "db":
		d.DB, err = s.integer(0, math.MaxInt32)
	case "username":
		d.Username, err = s.text()
	case "password":
		d.Password, err = s.text()
	case "sentinels":
		d.Sentinels, err = s.sentinels()
	case "master":
		d.Master, err = s.name()
	case "sentinel_username":
		d.SentinelUsername, err = s.text()
	case "sentinel_password":
		d.SentinelPassword, err = s.text()
	case "sentinel_tls":
		d.SentinelTLS, err = s.boolean()
	case "replicas":
		d.Replicas, err = s.integer(0, math.MaxInt32)
	case "timeout":
		d.connectTimeout, err = s.seconds()
	case "client_name":
		d.clientName, err = s.clientName()
	default:
		return d.assignTLS(key, s)
	}
	return err
}

func (d *draft) assignTLS(key string, s setting) (err error) {
	switch key {
	case "ssl", "tls":
		byScheme := d.TLS
		d.TLS, err = s.boolean()
		if err == nil && byScheme && !d.TLS {
			return configErrorf(s.at, "expected true, but false contradicts rediss://")
		}
	case "ssl_cert_reqs":
		d.files.certReqs, err = s.word()
	case "ssl_ca_certs":
		d.files.caCerts, err = s.word()
	case "ssl_certfile":
		d.files.certFile, err = s.word()
	case "ssl_keyfile":
		d.files.keyFile, err = s.word()
	default:
		return d.ignore(key, s)
	}
	return err
}

// ignore checks what has no effect here, so that a file that serves other
// clients too can be used, and a mistake in it is still found.
func (d *draft) ignore(key string, s setting) (err error) {
	switch key {
	case "encoding":
		_, err = s.text()
	case "minsize":
		d.minSize, err = s.integer(0, math.MaxInt32)
	case "maxsize":
		d.maxSize, err = s.integer(1, math.MaxInt32)
	default:
		if d.inURI {
			return d.assignGoRedis(key, s)
		}
		return d.unknown(key)
	}
	return err
}

// unknown names the key, unless it could be something else that slipped.
func (d *draft) unknown(key string) error {
	switch {
	case d.unsure:
		return configErrorf(d.at, "expected the names of settings as keys, got another, or a password that is not "+
			"percent-encoded (& is written %%26, / %%2F, ? %%3F, @ %%40, # %%23)")
	case !isKey(key):
		return configErrorf(d.at, "expected the names of settings as keys, got other text")
	}
	return configErrorf(d.at+"."+key, "expected a setting of a node, got a name that is not known")
}

// finish makes the Node, once all settings are in.
func (d *draft) finish() (Node, error) {
	if d.maxSize != 0 && d.minSize > d.maxSize {
		return Node{}, configErrorf(d.at+".minsize", "expected maxsize at most, got more")
	}
	config, err := d.files.load(d.at)
	if err != nil {
		return Node{}, err
	}
	if config != nil && !d.TLS {
		return Node{}, configErrorf(d.at+".ssl", "expected rediss:// or ssl with other settings of TLS, got neither")
	}
	d.TLSConfig = config
	switch {
	case d.Host == "":
	case d.Master != "" && d.Sentinels == nil:
		d.Sentinels = []string{joinPort(d.Host, cmp.Or(d.Port, sentinelPort))}
		d.Host, d.Port = "", 0
	default:
		d.Port = d.port()
	}
	if err := d.validate(d.at); err != nil {
		return Node{}, err
	}
	return d.Node, nil
}

// isKey reports whether s looks like the name of a setting.
func isKey(s string) bool {
	return s != "" && len(s) <= 40 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}
