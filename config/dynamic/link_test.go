package dynamic

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// Somebody who mends one thing has to see that it is another one now.
func TestEachReasonIsNewsOnceWhileTheServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timing := defaultTiming()
		said := 0
		a := &away{}
		tell := func(reason string) bool {
			a.err = reason
			news := a.isNews()
			if news {
				said++
				a.noteSaid(&timing)
			}
			return news
		}
		assert.True(t, tell("the server has ended the stream"))
		assert.False(t, tell("the token is wrong"), "one after the other")
		time.Sleep(timing.reason)
		assert.True(t, tell("the token is wrong"))
		time.Sleep(timing.reason)
		assert.False(t, tell("the server has ended the stream"), "said before")
		assert.True(t, tell("reset: 127.0.0.1:4711"))
		time.Sleep(timing.reason)
		assert.False(t, tell("reset: 127.0.0.1:4712"), "a port does not matter")
		time.Sleep(timing.remind)
		assert.True(t, tell("reset: 127.0.0.1:4712"))

		said = 0
		for i := range 20 {
			time.Sleep(timing.reason)
			tell(fmt.Sprintf("reason %c", 'a'+i))
		}
		assert.Less(t, said, maxReasons, "a server that finds ever new ones")
	})
}
