package fakeredis

import "time"

// packet is what one write sends: bytes, or the end of the stream.
type packet struct {
	data []byte
	end  error // io.EOF: closed in order; syscall.ECONNRESET: reset
	lost bool  // it will not arrive
	at   time.Time
}

// route is what the wires of one direction have in common, for a whole node.
type route struct {
	delay time.Duration
	lossy bool
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
	p.at = time.Now().Add(w.route.delay)
	w.queue = append(w.queue, p)
	w.deliver()
	if w.route.delay > 0 {
		time.AfterFunc(w.route.delay, func() {
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
