package main

import (
	"context"
	"net"
)

// adminDoor is the bound address of an admin server that is about to begin.
type adminDoor struct {
	ln      net.Listener // nil: nothing is bound
	address string       // as asked for
}

// of returns the listener. One of another address is closed.
func (a *adminDoor) of(address string) net.Listener {
	if a.ln != nil && a.address != address {
		_ = a.ln.Close()
		a.ln = nil
	}
	return a.ln
}

func (d *process) adminAddress() string { return hostPort(d.boot.Load().Proto.GetAdmin().GetBind()) }

// bindAdmin binds the address of the admin server of a process that is to take over, so that
// it is known to be free. It may be called again, also when a reload has changed the address.
func (d *process) bindAdmin(ctx context.Context) error {
	door, address := &d.heir.door, d.adminAddress()
	if door.of(address) != nil {
		return nil
	}
	ln, err := d.sockets.listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	door.ln, door.address = ln, address
	return nil
}

// needsAdmin tells whether the admin server has to have its address before this process takes
// over. It need not when there was none before, nor when what is in its way is about to go: a
// socket of the process before, which this one does not use, or a door that a reload has opened.
func (d *process) needsAdmin() bool {
	bind := d.boot.Load().Proto.GetAdmin().GetBind()
	return d.heir.welcome.Admin && !d.sockets.isLeaving(bind) && !d.console.holds(bind, nil)
}
