package hotkey

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sizesOf(values []Value) (all []int) {
	for _, v := range values {
		all = append(all, v.Size)
	}
	return all
}

func TestFewValuesAreAllKept(t *testing.T) {
	r := newRig(Options{Interval: time.Second}, "a")
	assert.Equal(t, LargestMin, r.sites[0].largest.From())
	assert.Zero(t, r.sites[0].largest.Size())
	r.offer(0, "small", LargestMin-1)
	r.offer(0, "enough", LargestMin)
	r.offer(0, "more", 5000)
	r.offer(0, "none", -1)
	assert.Equal(t, 5000, r.sites[0].largest.Size())
	assert.Equal(t, LargestMin, r.sites[0].largest.From())
	rep := r.end(time.Second)
	require.Equal(t, []int{5000, LargestMin}, sizesOf(rep.Values))
	v := rep.Values[0]
	assert.Equal(t, Value{Key: Name("more"), Length: 4, Command: "command2", Size: 5000, Slot: 5, Seen: epoch, hash: v.hash}, v)
}

func TestTheLargestOfThousandsOfValuesAreKept(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, ascending := range []bool{true, false} {
		r := newRig(Options{Interval: time.Second}, "a", "b", "c")
		sizes := random.Perm(5000)
		if ascending {
			slices.Sort(sizes)
		}
		for i, size := range sizes {
			r.offer(i%3, "key"+strconv.Itoa(size), 2000+size)
			l := &r.sites[i%3].largest
			require.LessOrEqual(t, l.n, LargestKept)
			if l.n == LargestKept {
				require.Equal(t, l.smallest().size+1, l.From())
			}
		}
		rep := r.end(time.Second)
		var want []int
		for i := range LargestKept {
			want = append(want, 6999-i)
		}
		assert.Equal(t, want, sizesOf(rep.Values))
		assert.Equal(t, "key4999", string(rep.Values[0].Key))
		assert.Equal(t, want, sizesOf(r.end(time.Second).Values), "also when no more come")
	}
}

func TestAKeyIsListedOnceWithItsLargestValue(t *testing.T) {
	r := newRig(Options{Interval: time.Second}, "a", "b")
	for i, size := range []int{3000, 5000, 4000, 5000, 2000} {
		r.pass(time.Second)
		r.offer(i%2, "k", size)
	}
	rep := r.end(time.Second)
	require.Equal(t, []int{5000}, sizesOf(rep.Values))
	assert.Equal(t, epoch.Add(4*time.Second), rep.Values[0].Seen, "when it was that large for the last time")
	r.offer(0, "k", 4999)
	r.offer(1, "k", 6000)
	assert.Equal(t, []int{6000}, sizesOf(r.end(time.Second).Values))
}

// A key that has one of all the places can be offered again without another losing its own.
func TestAKeyKeepsItsPlaceAmongTheLargest(t *testing.T) {
	var l Largest
	for i := range LargestKept {
		l.Offer([]byte{byte(i)}, uint64(i), 0, 0, 2000+i, 0)
	}
	for range 3 {
		l.Offer([]byte{5}, 5, 0, 0, 9000, 0)
	}
	assert.Equal(t, 9000, l.Size())
	assert.Equal(t, 2001, l.From())
	l.Offer([]byte{99}, 99, 0, 0, 2000, 0)
	assert.Equal(t, 2001, l.From(), "not larger than the smallest")
	l.Clear()
	assert.Equal(t, LargestMin, l.From())
	assert.Zero(t, l.Size())
}

func TestValuesAreForgottenAfterAnHour(t *testing.T) {
	r := newRig(Options{Interval: time.Minute}, "a")
	r.offer(0, "first", 5000)
	r.pass(30 * time.Minute)
	r.offer(0, "second", 4000)
	rep := r.end(time.Minute)
	assert.Equal(t, []int{5000, 4000}, sizesOf(rep.Values))
	assert.Equal(t, []int{5000, 4000}, sizesOf(r.end(29*time.Minute).Values))
	assert.Equal(t, []int{4000}, sizesOf(r.end(time.Minute).Values))
	assert.Empty(t, r.end(31*time.Minute).Values)
	r.offer(0, "first", 1500)
	assert.Equal(t, []int{1500}, sizesOf(r.end(time.Minute).Values))
}

// The list shows the largest value of the last hour, and not only the largest that there
// ever was until that is an hour ago.
func TestASmallerValueTakesOverAfterAnHour(t *testing.T) {
	r := newRig(Options{Interval: time.Minute}, "a")
	r.offer(0, "k", 5000)
	r.end(30 * time.Minute)
	r.offer(0, "k", 3000)
	assert.Equal(t, []int{5000}, sizesOf(r.end(10*time.Minute).Values))
	assert.Equal(t, []int{3000}, sizesOf(r.end(21*time.Minute).Values))
}

func TestLongKeysOfLargeValues(t *testing.T) {
	r := newRig(Options{Interval: time.Minute}, "a")
	long := strings.Repeat("k", 1000)
	r.offer(0, long+"1", 5000)
	r.offer(0, long+"2", 4000)
	r.offer(0, "", 3000)
	rep := r.end(time.Second)
	require.Len(t, rep.Values, 3)
	assert.Equal(t, long[:KeyMax], string(rep.Values[0].Key))
	assert.Equal(t, 1001, rep.Values[1].Length)
	assert.Empty(t, rep.Values[2].Key)
}
