package tcp

import (
	"syscall"
	"unsafe"
)

// The calls below go past Go's scheduler (RawSyscall), as every descriptor is
// non-blocking. Only epollBlock may wait, and it tells the scheduler.

const (
	// watched is what a socket is watched for, from its first to its last moment:
	// edge-triggered, so that no call is needed to change it.
	watched = syscall.EPOLLIN | syscall.EPOLLPRI | syscall.EPOLLOUT | syscall.EPOLLRDHUP | 1<<31 // EPOLLET

	spliceFlags = 1 | 2 // SPLICE_F_MOVE | SPLICE_F_NONBLOCK
	setPipeSize = 1031  // F_SETPIPE_SZ
	getPipeSize = 1032  // F_GETPIPE_SZ
)

func epollPoll(epfd int, events []syscall.EpollEvent) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return int(n), e
}

func epollBlock(epfd int, events []syscall.EpollEvent, timeoutMS int) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(timeoutMS), 0, 0)
	return int(n), e
}

func epollCtl(epfd, op, fd int, ev *syscall.EpollEvent) syscall.Errno {
	_, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op),
		uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}

func sysRecv(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0)
	return count(n, e), e
}

func sysSend(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	return count(n, e), e
}

// sysSplice moves at most n bytes between a socket and a pipe, in either direction.
func sysSplice(from, to, n int) (int, syscall.Errno) {
	r, _, e := syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), spliceFlags)
	return count(r, e), e
}

// count makes nothing of what a failed call returns.
func count(n uintptr, e syscall.Errno) int {
	if e != 0 {
		return 0
	}
	return int(n)
}

// sysSocket makes a TCP socket that does not block, does not delay small writes, and leaves
// urgent data at its place in the stream.
func sysSocket(family int) (int, syscall.Errno) {
	r, _, e := syscall.RawSyscall(syscall.SYS_SOCKET, uintptr(family),
		syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	switchOn(r, syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
	switchOn(r, syscall.SOL_SOCKET, syscall.SO_OOBINLINE)
	return int(r), 0
}

func switchOn(fd, level, option uintptr) {
	one := int32(1)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, level, option, uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one), 0)
}

func sysConnect(fd int, to *sockaddr) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), to.len)
	return e
}

// sysEnd says to the peer that no more comes.
func sysEnd(fd int) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_SHUTDOWN, uintptr(fd), syscall.SHUT_WR, 0)
	return e
}

// sysClose closes a descriptor that was not handed to anybody else, which also takes
// it out of the epoll set.
func sysClose(fd int) { _, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) }

// sysReset closes a socket with a reset, so that the peer does not take what it got for
// all there was to come.
func sysReset(fd int) {
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	sysClose(fd)
}

// socketError is why a socket is broken, or could not be connected.
func socketError(fd int) syscall.Errno {
	n, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err != nil || n == 0 {
		return syscall.ECONNRESET
	}
	return syscall.Errno(n)
}

func newEventFD() (int, syscall.Errno) {
	r, _, e := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	return int(r), e
}

// signal makes an eventfd readable, and unsignal takes that back.
func signal(fd int) {
	one := uint64(1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
}

func unsignal(fd int) {
	var n uint64
	_, _, _ = syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&n)), unsafe.Sizeof(n))
}

// threadCPU is the CPU time of a thread of this process in nanoseconds, 0 when there is
// none such.
func threadCPU(tid int64) int64 {
	const perThread, scheduled = 4, 2 // the bits of a clock id, as clock_getcpuclockid(3) composes it
	var ts syscall.Timespec
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(^tid<<3|perThread|scheduled), uintptr(unsafe.Pointer(&ts)), 0)
	if e != 0 {
		return 0
	}
	return ts.Nano()
}
