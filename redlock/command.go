package redlock

import "time"

// state is where a command is on its way to a node.
type state uint8

const (
	unsent   state = iota // never sent: refused at once, or dropped before it was written
	queued                // waiting to be written
	sent                  // written, or about to be; not answered
	answered              // its vote is in
	lost                  // its connection ended first: it may have been executed, or may be yet
)

// receiver is whoever waits for a command's vote.
type receiver interface {
	// receive is called without any node's mutex held, and never waits.
	receive(c *command, v vote, err error)
	// gone reports whether nobody needs the answer any more. It may be called with
	// a node's mutex held, and only reads.
	gone() bool
}

// command is one request on its way to one node.
type command struct {
	req   *request
	to    receiver // nil: nobody waits for it
	index int      // of the node

	followed bool // another command comes at once: one write for both, by the writer

	// What follows is guarded by the node's mu.

	state     state
	vote      vote
	value     int64     // the number that it was answered with
	stream    *stream   // that it was sent on
	bound     *stream   // the only one that it may be sent on; nil: any
	sentAt    time.Time // when it was written
	doneAt    time.Time // of an acquire: when its answer came
	withdrawn bool      // an acquire that must not be sent any more: its release came first
	reserved  bool      // an acquire that counts in the node's owed
	repeated  bool      // an acquire of which a user's client has sent more than one copy
	spelled   bool      // the script is sent in full: the node did not know its digest
	debt      *debt     // of a release: what it is to settle
	undo      *debt     // of an acquire: its release, once that was asked for
	kills     *stream   // whose connection the server is told to drop
}

// tell hands the vote to whoever waits.
func (c *command) tell(v vote, err error) {
	if c.to != nil {
		c.to.receive(c, v, err)
	}
}

// droppable reports whether nobody would miss c if it were never written.
func (c *command) droppable() bool {
	return c.debt == nil && c.to != nil && c.to.gone()
}
