package redlock

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
)

const (
	// randomLength is that of the random part of a token, in hexadecimal digits.
	// It is fixed: by it the owner's label behind it is found.
	randomLength = 32

	// maxToken is the largest token that a caller may choose, in bytes.
	maxToken = 512

	// fenceMark stands between a token and its fence in a value. No token has a
	// control character.
	fenceMark = "\x1f"
)

// freshToken is 128 random bits and the owner's label.
func (m *Manager) freshToken() string {
	var random [randomLength / 2]byte
	_, _ = rand.Read(random[:]) // it never fails: the program ends first
	return hex.EncodeToString(random[:]) + m.label
}

// ownerOf is the owner's label in a token that a manager has made. It reports
// false of any other: one that a caller chose, or another program.
func ownerOf(token string) (owner string, made bool) {
	if len(token) <= randomLength || token[randomLength] != '@' ||
		strings.Trim(token[:randomLength], "0123456789abcdef") != "" {
		return "", false
	}
	return token[randomLength+1:], true
}

// checkToken refuses what cannot be the token of a lock.
func checkToken(token string) error {
	switch {
	case token == "":
		return configErrorf("token", "expected the token of a lock, got an empty one")
	case len(token) > maxToken:
		return configErrorf("token", "expected %d bytes at most, got %d", maxToken, len(token))
	case strings.ContainsFunc(token, unicode.IsControl):
		return configErrorf("token", "expected printable text, got a control character in it")
	}
	return nil
}

// splitFence takes a value apart. A fence that is no number is none.
func splitFence(value string) (token string, fence uint64) {
	token, number, _ := strings.Cut(value, fenceMark)
	fence, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return token, 0
	}
	return token, fence
}
