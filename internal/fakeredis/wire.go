package fakeredis

import (
	"math/rand/v2"
	"time"
)

// packet is what one write sends: bytes, or the end of the stream.
type packet struct {
	data []byte
	end  error // io.EOF: closed in order; syscall.ECONNRESET: reset
	lost bool  // it will not arrive
	at   time.Time
}

// route is what the wires of one direction have in common, for a whole node.
type route struct {
	delay  time.Duration
	jitter time.Duration // at most; added to the delay of each packet
	lossy  bool
}

// wire is one direction of a connection. All of it is guarded by the node's mu.
type wire struct {
	n      *Node
	route  *route
	arrive func(packet) // takes what arrives, in order
	queue  []packet     // on its way, or not sent yet
	hole   bool         // something was lost: TCP delivers nothing behind it
}

// send puts p on the way. It arrives at once where there is no delay.
func (w *wire) send(p packet) {
	delay := w.route.delay + rand.N(w.route.jitter+1) //nolint:gosec // it guards nothing
	p.at = time.Now().Add(delay)
	w.queue = append(w.queue, p)
	w.deliver()
	if delay > 0 {
		time.AfterFunc(delay, func() {
			w.n.mu.Lock()
			defer w.n.mu.Unlock()
			w.deliver()
		})
	}
}

// deliver hands over what is due.
func (w *wire) deliver() {
	for len(w.queue) > 0 && !w.n.stalled && !w.queue[0].at.After(time.Now()) {
		p := w.queue[0]
		w.queue = w.queue[1:]
		w.hole = w.hole || p.lost || w.route.lossy || w.n.blackhole
		if !w.hole {
			w.arrive(p)
		}
	}
}
