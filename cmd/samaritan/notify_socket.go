package main

import (
	"net"
	"os"
	"time"
)

// notifyPatience is how long a message may wait for room in the socket of systemd. Restarts,
// reloads and the end wait for it.
const notifyPatience = 100 * time.Millisecond

// sdNotify sends to the socket that $NOTIFY_SOCKET names; without one there is nobody to
// tell. The one of go-systemd would wait as long as nobody reads there.
func sdNotify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(notifyPatience)); err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return err
}
