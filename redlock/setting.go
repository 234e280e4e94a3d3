package redlock

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setting is one value of a Node or a Config as it was given. In a URI every
// value is text; elsewhere it has the type that some decoder gave it. Nil is
// what a decoder makes of null, and stands for a setting that was left out.
//
// The errors say where, and what was expected, but never what was given: it may
// be a password that slipped.
type setting struct {
	at    string
	value any
	inURI bool
}

func (s setting) expected(what string) error {
	got := "other text"
	if !s.inURI {
		got = kindOf(s.value)
	}
	return configErrorf(s.at, "expected %s, got %s", what, got)
}

// text is a string. It may be empty, but not in a URI: there an empty value is
// a variable that was not set.
func (s setting) text() (string, error) {
	if s.value == nil {
		return "", nil
	}
	text, ok := stringOf(s.value)
	switch {
	case !ok:
		return "", s.expected("a string")
	case text == "" && s.inURI:
		return "", configErrorf(s.at, "expected a value, got an empty one")
	}
	return text, nil
}

// word is a string that is left out rather than empty.
func (s setting) word() (string, error) {
	text, err := s.text()
	if err == nil && text == "" && s.value != nil {
		return "", configErrorf(s.at, "expected a value, got an empty one")
	}
	return text, err
}

// name is a word that cannot be left out once its key is there: without it, a
// node would silently be something else.
func (s setting) name() (string, error) {
	if s.value == nil {
		return "", configErrorf(s.at, "expected a value, got an empty one")
	}
	return s.word()
}

// clientName is what the server takes as the name of a connection.
func (s setting) clientName() (string, error) {
	text, err := s.word()
	if err == nil && strings.ContainsFunc(text, func(r rune) bool { return r < '!' || r > '~' }) {
		return "", configErrorf(s.at, "expected printable ASCII without spaces, got another character")
	}
	return text, err
}

func (s setting) boolean() (bool, error) {
	if s.value == nil {
		return false, nil
	}
	if s.inURI {
		text, _ := s.text()
		if b, err := strconv.ParseBool(text); err == nil {
			return b, nil
		}
	} else if v := reflect.ValueOf(s.value); v.Kind() == reflect.Bool {
		return v.Bool(), nil
	}
	return false, s.expected("true or false")
}

// integer is a whole number from low to high.
func (s setting) integer(low, high int) (int, error) {
	if s.value == nil {
		return 0, nil
	}
	n, ok := s.wholeNumber()
	switch {
	case !ok && !s.inURI && kindOf(s.value) == "a number":
		return 0, configErrorf(s.at, "expected a whole number, got a fraction or too large a number")
	case !ok:
		return 0, s.expected("a whole number")
	case n >= int64(low) && n <= int64(high):
		return int(n), nil
	case high == math.MaxInt:
		return 0, configErrorf(s.at, "expected %d or more, got a number out of range", low)
	}
	return 0, configErrorf(s.at, "expected %d to %d, got a number out of range", low, high)
}

func (s setting) wholeNumber() (int64, bool) {
	if s.inURI {
		text, _ := s.text()
		n, err := strconv.ParseInt(text, 10, 64)
		return n, err == nil && strconv.FormatInt(n, 10) == text
	}
	if number, ok := s.value.(json.Number); ok {
		if n, err := number.Int64(); err == nil {
			return n, true
		}
	}
	switch v := reflect.ValueOf(s.value); {
	case v.CanInt():
		return v.Int(), true
	case v.CanUint():
		return int64(min(v.Uint(), math.MaxInt64)), true
	}
	f, ok := s.number()
	return int64(f), ok && f == math.Trunc(f) && math.Abs(f) < 1<<53
}

// float is any number.
func (s setting) float() (float64, error) {
	if s.value == nil {
		return 0, nil
	}
	if f, ok := s.number(); ok {
		return f, nil
	}
	return 0, s.expected("a number")
}

func (s setting) number() (float64, bool) {
	if number, ok := s.value.(json.Number); ok {
		f, err := number.Float64()
		return f, err == nil
	}
	v := reflect.ValueOf(s.value)
	switch {
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	case s.inURI:
		f, err := strconv.ParseFloat(v.String(), 64)
		return f, err == nil
	}
	return 0, false
}

// duration is written as for time.ParseDuration, which takes a bare 0 too.
func (s setting) duration() (time.Duration, error) {
	if s.value == nil {
		return 0, nil
	}
	if text, ok := stringOf(s.value); ok {
		if d, err := time.ParseDuration(text); err == nil {
			return d, nil
		}
	} else if f, ok := s.number(); ok && f == 0 {
		return 0, nil
	}
	return 0, s.expected("a duration such as 1.5s or 250ms")
}

// seconds is a bound: a number of seconds, or a duration. It is above 0.
func (s setting) seconds() (time.Duration, error) {
	if s.value == nil {
		return 0, nil
	}
	if d, ok := s.value.(time.Duration); ok && d > 0 {
		return d, nil
	}
	if f, ok := s.number(); ok && f > 0 && f < math.MaxInt64/float64(time.Second) {
		return max(1, time.Duration(f*float64(time.Second))), nil
	}
	if text, ok := stringOf(s.value); ok {
		if d, err := time.ParseDuration(text); err == nil && d > 0 {
			return d, nil
		}
	}
	return 0, s.expected("a number of seconds above 0, or a duration such as 1.5s")
}

// pair is [host, port], both of them.
func (s setting) pair() (host string, port int, err error) {
	list, ok := listOf(s.value)
	if !ok || len(list) != 2 {
		return "", 0, s.expected("a pair [host, port]")
	}
	host, err = setting{at: s.at + ".host", value: list[0]}.name()
	if err != nil {
		return "", 0, err
	}
	if list[1] == nil {
		return "", 0, configErrorf(s.at+".port", "expected 1 to %d, got null", maxPort)
	}
	port, err = setting{at: s.at + ".port", value: list[1]}.integer(1, maxPort)
	return host, port, err
}

// sentinels are addresses, or pairs of host and port, or one such pair.
func (s setting) sentinels() ([]string, error) {
	if s.value == nil {
		return nil, nil
	}
	list, ok := listOf(s.value)
	if !ok {
		return nil, s.expected("a list of addresses")
	}
	if _, _, err := s.pair(); err == nil {
		list = []any{s.value}
	}
	addresses := make([]string, len(list))
	for i, entry := range list {
		var err error
		if addresses[i], err = (setting{at: atIndex(s.at, i), value: entry}).sentinel(); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

func (s setting) sentinel() (string, error) {
	if text, ok := stringOf(s.value); ok {
		return parseSentinel(text, s.at)
	}
	host, port, err := s.pair()
	if err != nil {
		return "", err
	}
	if !isHost(host) {
		return "", configErrorf(s.at+".host", "expected a name or an IP address, IPv6 without brackets here, got other text")
	}
	return joinPort(host, port), nil
}
