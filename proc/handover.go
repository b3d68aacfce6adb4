package proc

import "context"

// A hot restart has a second process serve what this one serves. Its procs bind the same
// addresses (the listening sockets are inherited, see Env.Listen) and get ready, and accept
// nobody before Env.Gate is closed. Then the procs here pause, and their clients move, one
// by one, from a Mover to the proc with the same name over there. Whatever goes wrong, the
// procs here resume.

// Pauser is a Proc that can leave new clients to another process. All procs are.
type Pauser interface {
	// Pause stops accepting and returns when nobody is being accepted any more. The
	// listener stays bound. It may be called before the Proc runs, or is bound: then it
	// does not begin to accept.
	Pause()
	// Resume goes on accepting. Calls are not counted: one undoes any number of Pause.
	Resume()
	// Clients is how many client connections there are.
	Clients() int
}

// Limited is a Proc whose connection limit holds for the clients of the processes before, too.
type Limited interface {
	Pauser

	// SetElsewhere says how many clients of the service the processes before have.
	// Newcomers find so much less room. Each client that is adopted makes it one less. It is
	// without effect before the Proc listens.
	SetElsewhere(n int)
	// Elsewhere is how many there still are.
	Elsewhere() int
}

// Client is a client connection on its way from one process to another.
type Client struct {
	// FD is its socket.
	FD int
	// State is what the Proc knows about the client, in an encoding of its own.
	State []byte
	// Input was read from the socket and has not been taken up yet. It may be as large
	// as one request.
	Input []byte
}

// Mover is a Proc whose clients can move to another process.
type Mover interface {
	Pauser

	// MoveClients gives away each client once it is at a clean boundary: nothing is in
	// flight for it, and all its replies have been written. Until then it is served, but
	// nothing new is taken up from one whose turn it is. It returns when no client is left
	// or ctx has ended; clients that are left are served on as if nothing had been.
	//
	// give sends a client away. It is not called on a loop and may block; the socket is
	// this Proc's until done is called, once, from any goroutine: with nil the client has
	// been taken over and the Proc closes its descriptor, with an error it serves the
	// client on, and does not offer it again. State and Input are not to be touched any
	// more when done has been called: they may be memory of a loop.
	MoveClients(ctx context.Context, give func(c Client, done func(error)))

	// Adopt makes ready to serve a client that comes from another process. With an
	// error it has touched nothing. Else the socket is the Proc's, and is served from the
	// call of begin on, which is called once; until then nothing is counted or held. A client that has been adopted counts as
	// one, whatever the connection limit is.
	Adopt(c Client) (begin func(), err error)
}
