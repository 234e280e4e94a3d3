package redlock

import (
	"strconv"
	"time"

	"github.com/redlock-go/redlock/internal/scripts"
)

// kind says what a command does to the key.
type kind uint8

const (
	question kind = iota // asks, or changes the expiry
	acquire              // makes it
	release              // deletes it
)

// script numbers the Lua scripts; noScript is a plain command.
type script uint8

const (
	noScript script = iota
	acquireScript
	extendScript
	lookScript
	persistScript
	releaseScript
	scriptCount
)

var scriptText = [scriptCount]string{
	acquireScript: scripts.Acquire,
	extendScript:  scripts.Extend,
	lookScript:    scripts.Look,
	persistScript: scripts.Persist,
	releaseScript: scripts.Release,
}

// request is a command as all nodes get it. It is encoded once: body is the
// whole command, or for a script what follows its digest or text.
type request struct {
	kind   kind
	script script
	body   []byte
	writes bool // a vote for it counts only when the replicas asked for have it
	given  bool // of an acquire: the caller chose the token
	read   func(reply) (vote, error)

	key, token string   // of an acquire or a release
	args       []string // what a user's own client is given; of a script, what follows its text
}

// reserves reports whether r is an acquire that no other will repeat: where its
// fate stays unknown, the node is asked for a release.
func (r *request) reserves() bool { return r.kind == acquire && !r.given }

// setRequest is the plain acquire. Every other client of the algorithm that
// uses the same key respects it, and there is no cheaper command.
func setRequest(key, token string, ttl time.Duration) request {
	return request{
		kind:   acquire,
		body:   appendCommand(nil, "SET", key, token, "NX", "PX", milliseconds(ttl)),
		writes: true,
		read:   readSet,
		key:    key,
		token:  token,
	}
}

func existsRequest(key string) request {
	return plainRequest(readBool, "EXISTS", key)
}

func pingRequest() request {
	return plainRequest(readPong, "PING")
}

func plainRequest(read func(reply) (vote, error), args ...string) request {
	return request{body: appendCommand(nil, args...), read: read, args: args}
}

// givenRequest takes a key for a token that the caller chose.
func givenRequest(key, token string, ttl time.Duration) request {
	r := scriptRequest(acquireScript, key, token, milliseconds(ttl))
	r.kind, r.given, r.writes, r.read = acquire, true, true, readGiven
	r.key, r.token = key, token
	return r
}

// replayableRequest takes a key under a random token by script: a key that holds
// the token already is granted. It is for a client that may send a command twice,
// for what heals a node, and for a waiter, since a refusal tells the key's TTL.
func replayableRequest(key, token string, ttl time.Duration) request {
	r := givenRequest(key, token, ttl)
	r.given, r.read = false, readReplayed
	return r
}

// waitRequest asks for the confirmation of n replicas. The node has to answer
// that they are missing before its callers stop waiting: they are told why it
// did not vote. A timeout of 0 would block the connection for ever.
func waitRequest(n int, timeout time.Duration) request {
	body := appendCommand(nil, "WAIT", strconv.Itoa(n), milliseconds(max(timeout, time.Millisecond)))
	return request{body: body, read: func(r reply) (vote, error) {
		switch {
		case r.kind == ':' && r.n >= int64(n):
			return granted, nil
		case r.kind == ':' && r.n >= 0:
			return refused, nil
		}
		return readError(r)
	}}
}

// killRequest has the server drop the connection that it knows as id. It
// answers with the number that it has dropped: with 0 the connection was gone
// already.
func killRequest(id int64) request {
	return request{body: appendCommand(nil, "CLIENT", "KILL", "ID", strconv.FormatInt(id, 10)), read: readBool}
}

// extendRequest makes the key last for ttl, if it holds token; 0 only asks.
func extendRequest(key, token string, ttl time.Duration) request {
	r := scriptRequest(extendScript, key, token, milliseconds(ttl))
	r.writes = ttl > 0
	return r
}

func persistRequest(key, token string) request {
	r := scriptRequest(persistScript, key, token)
	r.writes = true
	return r
}

// releaseRequest deletes the key, if it holds token, and tells those who listen
// for it in db. A try that failed held nothing that anybody waits for: it leaves
// db empty, and wakes no crowd that would only split the next vote.
func releaseRequest(key, token, db string) request {
	r := scriptRequest(releaseScript, key, token, db)
	r.kind, r.read = release, readRelease
	r.key, r.token = key, token
	return r
}

// lookRequest asks what stands at the key, and writes touch again where it does;
// empty: it writes nothing. Who asks says how the answer is read.
func lookRequest(key, touch string) request {
	r := scriptRequest(lookScript, key, touch)
	r.writes = touch != ""
	return r
}

// scriptRequest encodes what follows a script's digest: the number of keys, the
// key and the arguments. Who makes a script that answers more than 1 or 0 sets
// how that is read.
func scriptRequest(s script, key string, args ...string) request {
	args = append([]string{"1", key}, args...)
	return request{script: s, body: appendBulks(grow(nil, args), args), read: readBool, args: args}
}

// scriptPrefix is what stands before the body: the array's header, the command
// and the digest or the text of the script.
func scriptPrefix(s script, command, digestOrText string) []byte {
	b := appendHeader(nil, '*', scriptArity[s])
	return appendBulk(appendBulk(b, command), digestOrText)
}

// scriptArity is the number of elements in a script's command: EVALSHA, digest,
// number of keys, key, and the arguments.
var scriptArity = [scriptCount]int{
	acquireScript: 6, extendScript: 6, lookScript: 5, persistScript: 5, releaseScript: 6,
}

func milliseconds(ttl time.Duration) string {
	return strconv.FormatInt(ttl.Milliseconds(), 10)
}
