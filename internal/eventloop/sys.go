package eventloop

import (
	"syscall"
	"unsafe"
)

// The calls below go past Go's scheduler (RawSyscall): every descriptor is
// non-blocking, so none of them waits. Only epollBlock may wait, and it tells the
// scheduler.

// epollEvent carries the loop's own key in its data: Fd is the index into
// Loop.slots, Pad the generation of that slot. A generation that does not match
// belongs to a connection closed earlier in the same batch.
type epollEvent = syscall.EpollEvent

func epollPoll(epfd int, events []epollEvent) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return int(n), e
}

func epollBlock(epfd int, events []epollEvent, timeoutMS int) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(timeoutMS), 0, 0)
	return int(n), e
}

func epollCtl(epfd, op, fd int, ev *epollEvent) syscall.Errno {
	_, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op),
		uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}

// sysRead reads from a socket or, in the mailbox, from an eventfd.
func sysRead(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), e
}

// sysRecv and sysSend are read(2) and write(2) for sockets only: the kernel takes a
// shorter way, measured as 2 to 4% of a small request.
func sysRecv(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

func sysSend(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

func sysWritev(fd int, iov []syscall.Iovec) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	return int(n), e
}

// The calls for mappings tell the scheduler: they wait for other threads of the
// process that are in the middle of the like.

// sysMmap returns n bytes of anonymous memory; n is a multiple of the page size.
func sysMmap(n int) ([]byte, error) {
	addr, _, e := syscall.Syscall6(syscall.SYS_MMAP, 0, uintptr(n), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS, ^uintptr(0), 0)
	mem, err := pagesAt(addr, n, e)
	if err == nil {
		// Filling a huge page at its first byte takes milliseconds on some machines.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, addr, uintptr(n), syscall.MADV_NOHUGEPAGE) // or there are none
	}
	return mem, err
}

// sysMremap makes a mapping n bytes long. It may move; mem is void when it succeeds.
func sysMremap(mem []byte, n int) ([]byte, error) {
	const mayMove = 1 // MREMAP_MAYMOVE
	addr, _, e := syscall.Syscall6(syscall.SYS_MREMAP, uintptr(unsafe.Pointer(unsafe.SliceData(mem))),
		uintptr(len(mem)), uintptr(n), mayMove, 0, 0)
	return pagesAt(addr, n, e)
}

// pagesAt is the slice over a mapping that the kernel has put at addr.
func pagesAt(addr uintptr, n int, e syscall.Errno) ([]byte, error) {
	if e != 0 {
		return nil, e
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), n), nil
}

// sysMunmap gives pages back. The kernel can only refuse because it has no room to
// note that a mapping has become two; then the memory goes and the addresses stay.
func sysMunmap(mem []byte) {
	addr := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	if _, _, e := syscall.Syscall(syscall.SYS_MUNMAP, addr, uintptr(len(mem)), 0); e != 0 {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, addr, uintptr(len(mem)), syscall.MADV_DONTNEED)
	}
}

// sysUnread is the number of bytes that wait in the socket's receive queue.
func sysUnread(fd int) int {
	var n int32
	_, _, e := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	if e != 0 {
		return 0
	}
	return int(n)
}
