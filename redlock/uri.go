package redlock

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseNode reads a URI, host:port, or the absolute path of a unix socket:
//
//	redis://user:password@host:6379/2?timeout=1.5
//	rediss://host?ssl_ca_certs=/etc/ssl/redis-ca.pem
//	unix:///run/redis.sock?db=1
//	redis://:password@sentinel1:26379,sentinel2:26379/5?master=leader
//
// The query takes the settings of a mapping, see [ParseNodes], and the keys of
// go-redis' URIs. Of these dial_timeout is another name for timeout,
// client_name has its effect, and the others are checked and ignored. Userinfo,
// path and query are percent-decoded. A key that is unknown, blank or repeated
// is an error, and so is a password or a database that is given in two places.
// Every error is a
// *ConfigError.
func ParseNode(uri string) (Node, error) { return parseNode(uri, "node") }

func parseNode(text, at string) (Node, error) {
	d := newDraft(at, true)
	if err := d.parse(text); err != nil {
		return Node{}, err
	}
	return d.finish()
}

// parse is strict where url.Parse is lax, and unlike its errors, those of parse
// do not repeat the password.
func (d *draft) parse(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return configErrorf(d.at, "expected UTF-8 without control characters, got other text")
	}
	if path, ok := barePath(text); ok {
		return d.set("socket", path)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return d.parseBareAddress(text)
	}
	if strings.ContainsFunc(rest, unicode.IsSpace) || strings.Contains(rest, "#") {
		return configErrorf(d.at, "expected white space and # as %%20 and %%23, got them as they are")
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if err := d.parseLocation(strings.ToLower(scheme), authority, path); err != nil {
		return err
	}
	if hasQuery {
		return d.parseQuery(query)
	}
	return nil
}

// barePath takes a path as it is, and the form that names of nodes have.
func barePath(text string) (path string, ok bool) {
	if path, named := strings.CutPrefix(text, "unix:"); named && !strings.HasPrefix(path, "//") {
		text = path
	}
	return text, strings.HasPrefix(text, "/")
}

func (d *draft) parseBareAddress(text string) error {
	host, port, colon, ok := cutPort(text)
	if !ok || !colon {
		return d.noNode()
	}
	return d.setAddress(host, port, colon)
}

func (d *draft) noNode() error {
	return configErrorf(d.at, "expected a URI (redis://, rediss:// or unix://), host:port, "+
		"or the absolute path of a unix socket, got other text")
}

// parseLocation reads what stands before the query: who, where and what
// database.
func (d *draft) parseLocation(scheme, authority, path string) error {
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		username, password, _ := strings.Cut(authority[:at], ":")
		if err := d.setEscaped("username", username); err != nil {
			return err
		}
		if err := d.setEscaped("password", password); err != nil {
			return err
		}
		authority = authority[at+1:]
	}
	switch scheme {
	case "redis", "rediss":
		d.TLS = scheme == "rediss"
		if err := d.parseHosts(authority); err != nil || path == "" {
			return err
		}
		return d.set("db", path)
	case "unix":
		if authority != "" || path == "" {
			return configErrorf(d.at+".socket", "expected unix:///path with three slashes, got other text")
		}
		return d.setEscaped("socket", "/"+path)
	}
	return d.noNode()
}

// parseHosts takes several hosts for Sentinels.
func (d *draft) parseHosts(hosts string) error {
	addresses := strings.Split(hosts, ",")
	for i, address := range addresses {
		// The zone of an IPv6 host is written %25eth0 in a URI.
		before, zone, escaped := strings.Cut(address, "%25")
		if escaped {
			address = before + "%" + zone
		} else if strings.Contains(address, "%") {
			return configErrorf(d.at+".host", "expected %% in the zone of an IPv6 host alone, as %%25, got another one")
		}
		if len(addresses) == 1 {
			host, port, colon, ok := cutPort(address)
			if !ok {
				return configErrorf(d.at+".host", "expected host:port, an IPv6 host in brackets, got other text")
			}
			return d.setAddress(host, port, colon)
		}
		sentinel, err := parseSentinel(address, atIndex(d.at+".sentinels", i))
		if err != nil {
			return err
		}
		d.Sentinels = append(d.Sentinels, sentinel)
	}
	return nil
}

func (d *draft) setAddress(host, port string, hasPort bool) error {
	if err := d.set("host", host); err != nil || !hasPort {
		return err
	}
	return d.set("port", port)
}

// setEscaped leaves out what is blank: the host alone, or a user without
// password.
func (d *draft) setEscaped(key, escaped string) error {
	if escaped == "" {
		return nil
	}
	text, err := url.PathUnescape(escaped)
	if err != nil {
		return configErrorf(d.at+"."+key, "expected two hexadecimal digits behind each %%, got others")
	}
	return d.set(key, text)
}

func (d *draft) parseQuery(query string) error {
	d.unsure = strings.Contains(query, "@")
	for pair := range strings.SplitSeq(query, "&") {
		escapedKey, escapedValue, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(escapedKey)
		value, valueErr := url.QueryUnescape(escapedValue)
		if err != nil || valueErr != nil {
			return configErrorf(d.at, "expected two hexadecimal digits behind each %% of the query, got others")
		}
		switch key {
		case "host", "port", "socket", "sentinels":
			return configErrorf(d.at+"."+key, "expected before the question mark, got it behind")
		case "password", "sentinel_password":
			// From here on, what follows an & may still be the password.
			d.unsure = true
		}
		if err := d.set(key, value); err != nil {
			return err
		}
	}
	return nil
}
