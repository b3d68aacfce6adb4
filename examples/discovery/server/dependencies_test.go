package server

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestDependenciesAreToldAsAWholeAndThenAsDifferences(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", nil, nil)
	r.Set("b", nil, nil)
	r.Depend("demo", "a", "b", "later")
	r.Depend("other", "b")
	demo, other := dependencies(t, r.connect(), "demo"), dependencies(t, r.connect(), "other")
	assert.Equal(t, "+[a b] -[]", tellNames(demo.next()))
	assert.Equal(t, "+[b] -[]", tellNames(other.next()))

	r.Set("later", conf(1), eps(1))
	assert.Equal(t, "+[later] -[]", tellNames(demo.next()))
	r.Set("later", conf(2), eps(2))
	r.Set("unlisted", conf(1), nil)
	demo.nothing()
	r.Remove("a", "never there")
	assert.Equal(t, "+[] -[a]", tellNames(demo.next()))
	r.Depend("demo", "b", "unlisted")
	assert.Equal(t, "+[unlisted] -[later]", tellNames(demo.next()))
	other.nothing()
	r.Depend("demo")
	assert.Equal(t, "+[] -[b unlisted]", tellNames(demo.next()))
}

func TestAllServicesAreADependency(t *testing.T) {
	r := startServer(t, Options{})
	r.Depend("demo", All)
	demo := dependencies(t, r.connect(), "demo")
	assert.Equal(t, "+[] -[]", tellNames(demo.next()), "the first message comes also when there is nothing")
	r.Set("a", nil, nil)
	assert.Equal(t, "+[a] -[]", tellNames(demo.next()))
	r.Replace(Snapshot{Services: map[string]Service{"b": {}, "c": {}}, Dependencies: map[string][]string{"demo": {All}}})
	assert.Equal(t, "+[b c] -[a]", tellNames(demo.next()))
	r.Depend("demo", "c", "d")
	assert.Equal(t, "+[] -[b]", tellNames(demo.next()))
	r.Depend("demo", All)
	assert.Equal(t, "+[b] -[]", tellNames(demo.next()))
	demo.nothing()
}

func TestBelongThatNobodyKnowsHasNoDependenciesYet(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", nil, nil)
	in := dependencies(t, r.connect(), "new")
	assert.Equal(t, "+[] -[]", tellNames(in.next()))
	r.Depend("new", "a")
	assert.Equal(t, "+[a] -[]", tellNames(in.next()))
	r.Replace(Snapshot{})
	assert.Equal(t, "+[] -[a]", tellNames(in.next()))
}

func TestInstanceHasToSayWhatItBelongsTo(t *testing.T) {
	r := startServer(t, Options{})
	assert.Equal(t, codes.InvalidArgument, status.Code(dependencies(t, r.connect(), "").end()))
	assert.Zero(t, r.Stats().Dependencies)
}
