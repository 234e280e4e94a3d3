package integration

import (
	"crypto/sha1" // it is how Redis names scripts
	"encoding/hex"

	"github.com/redlock-go/redlock/internal/scripts"
)

// calls reports whether a command calls the script, by its digest or in full.
func calls(args []string, script string) bool {
	if len(args) < 2 {
		return false
	}
	digest := sha1.Sum([]byte(script))
	return args[1] == script || args[1] == hex.EncodeToString(digest[:])
}

// acquires reports whether a command is the first question of a call, or one of
// those that follow.
func acquires(args []string) bool {
	return len(args) > 0 && args[0] == "SET" || calls(args, scripts.Acquire)
}
