package outcome

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// some has every verdict, two of them twice.
var some = []Check{
	{"a", "< 1", "0", Judge(true)}, {"b", "< 1", "0", Pass}, {"c", "< 1", "2", Judge(false)}, {"d", "< 1", "1.1", Unsure}, {"e", "< 1", "?", TooShort},
}

func TestBoundsThatWereNotJudgedDoNotCount(t *testing.T) {
	assert.Equal(t, Summary{Kept: 2, Missed: 1, Unsure: 1}, Summarize(some))
	assert.Equal(t, "2 of 4 bounds kept, 1 not sure", Summarize(some).String())
	assert.Equal(t, "2 of 2 bounds kept", Summarize(some[:2]).String())
}

func TestOnlyMissedBoundsAreAnError(t *testing.T) {
	assert.ErrorIs(t, Summarize(some).Err(), ErrMissed)
	assert.ErrorContains(t, Summarize(some).Err(), "2 of 4 bounds kept")
	assert.NoError(t, Summarize(some[3:]).Err())
	assert.NoError(t, Summary{}.Err())
}

func TestTableHasEveryBound(t *testing.T) {
	assert.Equal(t, "| bound | wanted | measured |          |\n|:------|-------:|---------:|---------:|\n"+
		"| c     |    < 1 |        2 |     FAIL |\n| d     |    < 1 |      1.1 | not sure |\n", Table(some[2:4]))
}
