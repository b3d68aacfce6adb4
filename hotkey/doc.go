// Package hotkey finds the keys that are used most, while they are used.
//
// A [Counter] counts the hits of keys at one place, such as the connection to one
// server. It belongs to one goroutine, has no locks and allocates nothing. It keeps
// 1,024 keys by Space-Saving (Metwally, Agrawal and El Abbadi, ICDT 2005) in sets of
// eight, with a filter in front as in Filtered Space-Saving (Homem and Carvalho, 2010), so
// that every count comes with a bound of its error.
//
// A [Sampler] says which hits are worth a look: all of them at ordinary rates, one of n
// at high ones, so that a hit costs some ten nanoseconds on average whatever the rate.
//
// A [Collector] merges what all counters have counted, interval by interval, and
// publishes a [Report]: the hottest keys of a window of several intervals, the hottest
// slots and the largest values. It is safe for use by several goroutines.
//
// What a collector knows can go on in another process: see [Collector.Export].
//
//	sampler := hotkey.NewSampler(now)
//	counter := hotkey.NewCounter(now)
//	// for each request:
//	if weight := sampler.Take(1); weight > 0 {
//		counter.Hit(&hotkey.Hit{Key: key, Hash: hotkey.Hash(key), Weight: weight, Now: now})
//	}
//	// some ten times a second:
//	sampler.Pace(now)
//	// at the end of each interval:
//	spare = counter.Cut(spare, now)
//	collector.Add("127.0.0.1:7000", spare, now, time.Now())
//	report := collector.Merge(time.Now())
package hotkey
