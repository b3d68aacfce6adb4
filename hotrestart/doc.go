// Package hotrestart is the protocol between a process, the parent, and the one that it
// starts to take over from it, the child. It hands over listening sockets and connected
// ones, with what belongs to them, and sees to it that each has one owner at any time. It
// does not know what is listened for or what a session says: that is bytes to it.
//
// The parent has a [Successor], the child a [Predecessor]:
//
//	parent                           child
//	Check, Begin  ---- starts ---->  Inherit
//	              <---- HELLO ---->
//	Offer         ---- OFFER ----->  Listeners
//	AwaitReady    <--- PROGRESS ---  Progress, or Failed
//	              <---- READY -----  Ready
//	Go            ------ GO ------>
//	              <---- TAKEN -----  Taken
//	Give          --- SESSION ---->  Serve
//	              <- ACK, REFUSED -
//	Update        ---- UPDATE ---->
//	Ask           ------ ASK ----->
//	              <----- HERE -----
//	              <--- ENDING -----  Ending
//	Finish        ---- FINISH ---->
//
// # Who has what
//
// Up to GO the child has nothing, and every failure ends with its death: each function of
// a Successor that returns an error has killed it and waited for it, and the parent goes
// on. From GO on, the child serves what it has got.
//
// A session belongs to the parent until the child has acknowledged it. The parent sends
// it and leaves it alone until the answer. The child acknowledges before it touches the
// socket. When the parent sees no answer, it makes sure that there never was one: it
// kills the child, waits for it, reads what the child had written, and only then takes
// back what is unanswered. A child that cannot deliver an acknowledgement serves the
// session only if the parent is dead.
//
// A child that is about to end (SIGTERM) after TAKEN says ENDING first. Behind that it acknowledges
// nothing, so it need not be killed when it closes the connection. In all other cases it
// is: a process that has lost the connection, and lives, might serve what the parent
// takes back.
//
// When the parent dies, the child goes on with what it has and what it can still read.
// The end of the connection is not enough to go by: the child looks for its parent's
// process to be gone (it is not its parent any more).
//
// # Meeting
//
// The parent listens on a unix stream socket in its data directory, with mode 0600 from
// the moment it exists, named hotrestart-PID-RANDOM.sock. It starts the child with the
// environment [EnvParent] (its pid) and [EnvSocket] (the path). Either end checks that the
// other is of its own user (effective uid) and is the process it should be (SO_PEERCRED).
// The parent turns others away and goes on waiting. Once the child has come, the socket
// is removed. One that a killed process has left is removed by the next restart in the
// directory when it is over a minute old and nobody listens on it.
//
// # Messages
//
// A message is a header, a body in JSON (none when its length is 0), and raw bytes. All
// numbers of the header are big endian:
//
//	offset  bytes
//	     0      4  magic: SmHR
//	     4      2  version of the framing: 1
//	     6      2  type
//	     8      2  number of descriptors, at most 253 (SCM_MAX_FD)
//	    10      2  0, ignored
//	    12      4  length of the body, at most 1 MiB
//	    16      8  length of the raw bytes, at most 1 GiB
//
// The header is sent with all descriptors of the message by one sendmsg (SCM_RIGHTS) and
// read alone, so that a descriptor cannot be taken for another message's. Descriptors
// that come with other bytes than a header are dropped by the kernel. Received ones are
// close-on-exec, and those that nobody takes are closed. No memory is taken ahead of the
// bytes that came but 64 KiB. A message that breaks this format ends the connection.
//
//	type          from    descriptors   body and raw bytes
//	 1  HELLO     both    -             {"protocol":1,"sessions":N,"version":"TEXT"}
//	 2  OFFER     parent  one for each  {"listeners":[{"network":"tcp","address":"A"},...],"last":true}
//	 3  PROGRESS  child   -             {"text":"TEXT"}
//	 4  FAILED    child   -             {"text":"TEXT"}
//	 5  READY     child   -             -
//	 6  GO        parent  -             -, raw: state
//	 7  TAKEN     child   -             -, raw: what the parent should know
//	 8  SESSION   parent  1             {"id":N,"service":"NAME","state":BYTES}, raw: state, then input
//	 9  ACK       child   -             {"id":N}
//	10  REFUSED   child   -             {"id":N,"reason":"TEXT"}
//	11  UPDATE    parent  -             -, raw: state
//	12  FINISH    parent  -             -
//	13  ENDING    child   -             -
//	14  UNKNOWN   both    -             {"type":N}
//	15  ASK       parent  -             -
//	16  HERE      child   -             -
//
// HELLO is the first message in each direction. OFFERs carry 64 listeners at most, in the
// order they were given; the last one says so, and its raw bytes are the welcome. PROGRESS
// may come any number of times before READY. FAILED ends it: the child has a second left.
// SESSIONs have ids, each used once, and are
// answered in the order they came. UPDATE and ASK may
// come whenever TAKEN was said. Each ASK is answered by HERE, or by UNKNOWN, which is a sign of
// life as well. Nothing follows FINISH, and the parent closes the connection.
//
// A message whose type is not known, or that the other side should not send (now), is
// answered with UNKNOWN, never UNKNOWN itself, and skipped; its descriptors are closed. An
// UNKNOWN for a SESSION is for the oldest one that is unanswered, and refuses it. One for
// OFFER, GO, READY or TAKEN ends the restart. Others are logged. Fields of a body that are not
// known are ignored.
//
// # Versions
//
// The framing, and the messages up to GO, are the same in all versions. When the protocol
// or the version of the sessions differ, no sessions are sent: the child gets the
// listeners only, and the parent keeps its sessions until they end.
//
// # Bounds
//
// At most 64 sessions, or 4 MiB of them, are unanswered; one alone may be as large as a
// message can be. When the child takes nothing of what is sent for Start.AckTimeout (10 s),
// or has sessions or an ASK and answers nothing for that long, it is killed. Texts for people
// are cut at 16 KiB. What has no bound of its own ends with the context that is given.
package hotrestart
