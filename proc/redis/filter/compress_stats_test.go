package filter

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// number sets every number in v to another one and returns how many there are.
func number(t *testing.T, v reflect.Value, next uint64) uint64 {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			next = number(t, f, next)
		}
	case reflect.Array:
		for i := range v.Len() {
			next = number(t, v.Index(i), next)
		}
	default:
		require.Equal(t, reflect.Uint64, v.Kind())
		next++
		v.SetUint(next)
	}
	return next
}

// times multiplies every number in v.
func times(v reflect.Value, n uint64) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			times(f, n)
		}
	case reflect.Array:
		for i := range v.Len() {
			times(v.Index(i), n)
		}
	default:
		v.SetUint(v.Uint() * n)
	}
}

func TestStatsAddEveryField(t *testing.T) {
	var one, sum CompressStats
	require.Greater(t, number(t, reflect.ValueOf(&one).Elem(), 0), uint64(15))
	for range 3 {
		sum.Add(&one)
	}
	times(reflect.ValueOf(&one).Elem(), 3)
	assert.Equal(t, one, sum)
}

func TestSkipsHaveNamesOfTheirOwn(t *testing.T) {
	names := make(map[string]bool)
	for s := range Skips {
		assert.Regexp(t, "^[a-z_]+$", s.String())
		names[s.String()] = true
	}
	assert.Len(t, names, int(Skips))
}
