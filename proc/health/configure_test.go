package health

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/hc"
)

func TestAddressesThatStayKeepWhatIsKnown(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.set(refuse, addrA)
		check := tcpCheck(10*time.Second, time.Second)
		r.Configure(check, []string{addrA, addrB})
		after(time.Second)
		a, b := r.statusOf(t, addrA), r.statusOf(t, addrB)

		r.Configure(proto.Clone(check).(*hc.HealthCheck), []string{addrC, addrB, addrA})
		require.Equal(t, a, r.statusOf(t, addrA))
		require.Equal(t, b, r.statusOf(t, addrB))
		require.False(t, r.Healthy(addrA))
		require.False(t, r.statusOf(t, addrC).Checked)
		after(7 * time.Second)
		require.Equal(t, 1, r.net.checks(addrA), "its next check is still when it was")
		require.Equal(t, 1, r.net.checks(addrC))
	})
}

func TestOtherTimesAndThresholdsForgetNothing(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.set(refuse, addrA)
		r.Configure(tcpCheck(time.Hour, time.Second), []string{addrA})
		after(time.Second)
		require.False(t, r.Healthy(addrA))

		other := tcpCheck(10*time.Second, 2*time.Second)
		other.RiseThreshold = 1
		r.Configure(other, []string{addrA})
		require.False(t, r.Healthy(addrA))
		require.True(t, r.statusOf(t, addrA).Checked)
		r.net.set(nil, addrA)
		after(10*time.Second + announceEvery)
		require.True(t, r.Healthy(addrA), "the new interval and threshold hold at once")
	})
}

// TestAnotherKindOfCheckKeepsVerdictsUntilItDecides: what is down is not used while it
// has not answered the new question, and the first answer decides.
func TestAnotherKindOfCheckKeepsVerdictsUntilItDecides(t *testing.T) {
	var told int
	inBubble(t, Options{Changed: func() { told++ }}, func(t *testing.T, r rig) {
		r.net.set(refuse, addrA, addrB)
		r.Configure(tcpCheck(time.Hour, time.Second), []string{addrA, addrB, addrA, addrC})
		after(time.Second + announceEvery)
		require.Equal(t, map[string]bool{addrA: true, addrB: true}, r.Unhealthy())
		a, before := r.statusOf(t, addrA), told

		r.net.set(nil, addrB)
		r.net.set(refuse, addrC)
		r.Configure(connecting(1), []string{addrA, addrB, addrA, addrC})
		require.Equal(t, map[string]bool{addrA: true, addrB: true}, r.Unhealthy())
		require.Equal(t, before, told)
		a.Checked = false
		require.Equal(t, a, r.statusOf(t, addrA))

		after(time.Second + announceEvery)
		require.Equal(t, map[string]bool{addrA: true, addrC: true}, r.Unhealthy())
		require.Greater(t, told, before)
		require.Equal(t, a.Since, r.statusOf(t, addrA).Since, "the verdict is the same")
		require.True(t, r.statusOf(t, addrB).Since.After(a.Since))
		for _, address := range []string{addrA, addrB, addrC} {
			require.True(t, r.statusOf(t, address).Checked)
			require.Equal(t, 2, r.net.checks(address))
		}
		r.Configure(connecting(1), []string{addrA})
		r.Configure(connecting(2), nil)
		require.Empty(t, r.Statuses())
		require.Empty(t, r.Unhealthy())
	})
}

// connecting is a check that a connection is enough for. The number tells it from others.
func connecting(number int) *hc.HealthCheck {
	check := tcpCheck(time.Hour, time.Second)
	actions := slices.Repeat([]*hc.ATCPChecker_Action{{}}, number)
	check.Checker = &hc.HealthCheck_AtcpChecker{AtcpChecker: &hc.ATCPChecker{Action: actions}}
	return check
}

// TestAnswerToAnotherQuestionIsDropped: a check that is under way asks what nobody wants
// to know any more.
func TestAnswerToAnotherQuestionIsDropped(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.set(hang, addrA)
		r.Configure(tcpCheck(time.Hour, time.Minute), []string{addrA})
		after(time.Second)
		r.net.set(refuse, addrA)
		r.Configure(&hc.HealthCheck{Checker: &hc.HealthCheck_RedisChecker{}}, []string{addrA})
		require.True(t, r.Healthy(addrA))
		after(time.Second + announceEvery)
		require.False(t, r.Healthy(addrA))
		require.Equal(t, uint64(1), r.statusOf(t, addrA).Failed)
		require.Zero(t, r.schedule.late, "it was canceled")
	})
}

func TestRemovedAddressIsForgotten(t *testing.T) {
	var told int
	inBubble(t, Options{Changed: func() { told++ }}, func(t *testing.T, r rig) {
		r.net.set(refuse, addrA, addrB)
		check := tcpCheck(10*time.Second, time.Second)
		r.Configure(check, []string{addrA, addrB})
		after(time.Second + announceEvery)
		told = 0
		r.Configure(check, []string{addrB})
		require.Equal(t, map[string]bool{addrB: true}, r.Unhealthy())
		require.Len(t, r.Statuses(), 1)
		after(time.Minute)
		require.Equal(t, 1, told)
		require.Equal(t, 1, r.net.checks(addrA), "it is not checked any more")

		r.Configure(check, []string{addrB, addrA})
		require.True(t, r.Healthy(addrA))
		require.False(t, r.statusOf(t, addrA).Checked)
		after(time.Second)
		require.False(t, r.Healthy(addrA))
	})
}

func TestCheckUnderWayForARemovedAddressIsDropped(t *testing.T) {
	var told int
	inBubble(t, Options{Changed: func() { told++ }}, func(t *testing.T, r rig) {
		r.net.set(hang, addrA)
		check := tcpCheck(10*time.Second, time.Minute)
		r.Configure(check, []string{addrA})
		after(time.Second)
		require.Equal(t, 1, r.net.checks(addrA))
		r.net.set(nil, addrA)
		r.Configure(check, nil)
		r.Configure(check, []string{addrA}) // the same address is another endpoint
		after(time.Second + announceEvery)
		require.Equal(t, uint64(1), r.statusOf(t, addrA).Passed)
		require.Zero(t, r.statusOf(t, addrA).Failed)
		require.Zero(t, told)
		require.Zero(t, r.schedule.late, "it was canceled")
	})
}

func TestWithoutACheckNothingIsChecked(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.set(refuse, addrA)
		r.Configure(tcpCheck(time.Second, time.Second), []string{addrA})
		after(2 * time.Second)
		require.False(t, r.Healthy(addrA))
		r.Configure(nil, []string{addrA})
		require.True(t, r.Healthy(addrA))
		require.Empty(t, r.Statuses())
		had := r.net.checks(addrA)
		after(time.Minute)
		require.Equal(t, had, r.net.checks(addrA))
	})
}

func TestCheckThatCannotBeMadeIsLoggedAndChecksNothing(t *testing.T) {
	var out bytes.Buffer
	m := New(Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	m.Configure(&hc.HealthCheck{Checker: &hc.HealthCheck_MysqlChecker{MysqlChecker: &hc.MySQLChecker{Username: "a\x00b"}}}, []string{addrA})
	require.Empty(t, m.Statuses())
	require.Contains(t, out.String(), `msg="endpoints are not checked" error="health: the user name has a NUL in it"`)
}

func TestCheckWithoutValuesHasTheDefaults(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.Configure(&hc.HealthCheck{}, []string{addrA})
		after(101 * time.Second)
		require.InDelta(t, 11, r.net.checks(addrA), 1)
	})
}

// TestAnySequenceOfListsLeavesTheLastOne compares with sets. The lists have repetitions.
func TestAnySequenceOfListsLeavesTheLastOne(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		check := tcpCheck(time.Second, time.Second)
		all := addresses(8)
		list := []string{}
		for range 2000 {
			for range 1 + rand.IntN(3) {
				at := rand.IntN(len(list) + 1)
				switch {
				case len(list) < 12 && rand.IntN(2) == 0:
					list = slices.Insert(list, at, all[rand.IntN(len(all))])
				case at < len(list):
					list = slices.Delete(list, at, at+1)
				}
			}
			if rand.IntN(10) == 0 {
				rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
			r.Configure(check, list)
			want := slices.Compact(slices.Sorted(slices.Values(list)))
			got := []string{}
			for _, s := range r.Statuses() {
				got = append(got, s.Address)
			}
			require.Equal(t, append([]string{}, want...), got)
			if rand.IntN(20) == 0 {
				after(100 * time.Millisecond)
			}
		}
		require.Len(t, r.schedule.prompt, len(r.endpoints))
	})
}

func TestConfigureWithTheSameAddressesCostsNothing(t *testing.T) {
	m := New(Options{})
	check, all := tcpCheck(time.Second, time.Second), addresses(10_000)
	m.Configure(check, all)
	fewer := slices.Delete(slices.Clone(all), 5_000, 5_001)
	require.Zero(t, testing.AllocsPerRun(10, func() { m.Configure(check, all) }))
	require.LessOrEqual(t, testing.AllocsPerRun(10, func() {
		m.Configure(check, fewer)
		m.Configure(check, all)
	}), 4.0)
}
