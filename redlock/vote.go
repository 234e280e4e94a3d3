package redlock

// vote is one node's answer.
type vote uint8

const (
	pending       vote = iota
	granted            // yes: taken for us, extended, deleted, locked
	refused            // no: a foreign key, no key, not ours
	own                // no: the key held this very token before this question
	rejected           // the server answered, and wrote nothing
	unknown            // no answer or a broken one: the command may have been executed
	misconfigured      // an error that will not heal by itself
)

// failed reports whether v is no usable answer.
func (v vote) failed() bool { return v >= rejected }

// readSet reads the answer to SET NX.
func readSet(r reply) (vote, error) {
	switch {
	case r.kind == '+' && string(r.text) == "OK":
		return granted, nil
	case r.kind == '$' && r.null:
		return refused, nil
	}
	return readError(r)
}

// readBool reads 1 or 0.
func readBool(r reply) (vote, error) {
	switch {
	case r.kind == ':' && r.n == 1:
		return granted, nil
	case r.kind == ':' && r.n == 0:
		return refused, nil
	}
	return readError(r)
}

// readRelease reads 0, or 1 and the number of subscribers that were told.
func readRelease(r reply) (vote, error) {
	switch {
	case r.kind == ':' && r.n >= 1:
		return granted, nil
	case r.kind == ':' && r.n == 0:
		return refused, nil
	}
	return readError(r)
}

// readTaken reads a refusal of the acquire script, which says for how many
// milliseconds: as a negative number, and 0 where the key does not expire.
func readTaken(r reply) (vote, error) {
	if r.kind == ':' && r.n < 0 {
		return refused, nil
	}
	return readBool(r)
}

// readGiven reads the answer of the acquire script for a token that the caller
// chose: a key that held it before is not this try's.
func readGiven(r reply) (vote, error) {
	if r.kind == ':' && r.n == 2 {
		return own, nil
	}
	return readTaken(r)
}

// readReplayed reads the same answer for a token of this attempt alone: the key
// that another copy of the command has made is its own grant.
func readReplayed(r reply) (vote, error) {
	if r.kind == ':' && r.n == 2 {
		return granted, nil
	}
	return readTaken(r)
}

func readPong(r reply) (vote, error) {
	if r.kind == '+' && string(r.text) == "PONG" {
		return granted, nil
	}
	return readError(r)
}

// readError reads what is not the command's own answer: an error of the server,
// or a reply that is out of step.
func readError(r reply) (vote, error) {
	if r.kind != '-' {
		return unknown, errOutOfStep
	}
	err := serverError(r.text)
	switch {
	case err.hasCode("WRONGTYPE"):
		return refused, nil // somebody's data, but no lock of ours
	case err.hasCode("NOPERM", "NOAUTH", "WRONGPASS", "MOVED", "ASK", "ERR unknown command"),
		err.hasCode("ERR The user executing the script can't run"), // Redis 7.0
		err.hasCode("ERR ACL failure in script"):                   // from Redis 7.2 on
		return misconfigured, err
	}
	return rejected, err
}
