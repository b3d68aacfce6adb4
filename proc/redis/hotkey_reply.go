package redis

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"samaritan/hotkey"
	"samaritan/proc/redis/resp"
)

// appendHotText appends the report as the text that scripts parse, one key a line.
// The last line ends with a newline, too.
func appendHotText(dst []byte, r *hotkey.Report, resp3 bool) []byte {
	text := append(strconv.AppendInt([]byte("Collect "), int64(len(r.Keys)), 10), " keys in this period!\n"...)
	for _, k := range byHeat(r.Keys) {
		text = strconv.AppendUint(append(text, "counter: "...), uint64(k.Heat), 10)
		text = append(append(append(text, "  keyname: "...), k.Name.String()...), '\n')
	}
	return resp.AppendVerbatim(dst, "txt", string(text), resp3)
}

// byHeat orders the keys by their counters, and by their hits where those are equal.
func byHeat(keys []hotkey.Key) []*hotkey.Key {
	all := make([]*hotkey.Key, len(keys))
	for i := range keys {
		all[i] = &keys[i]
	}
	slices.SortStableFunc(all, func(a, b *hotkey.Key) int {
		return cmp.Or(cmp.Compare(b.Heat, a.Heat), cmp.Compare(b.Count, a.Count))
	})
	return all
}

// first returns at most count elements of list, all of them if count is 0.
func first[T any](list []T, count int) []T {
	if count > 0 && count < len(list) {
		return list[:count]
	}
	return list
}

// appendHotKeys appends the keys of a report as maps, in the report's order.
func appendHotKeys(dst []byte, r *hotkey.Report, count int, resp3 bool) []byte {
	keys := first(r.Keys, count)
	dst = resp.AppendArrayHeader(dst, len(keys))
	for i := range keys {
		dst = appendHotKey(dst, r, &keys[i], resp3)
	}
	return dst
}

func appendHotKey(dst []byte, r *hotkey.Report, k *hotkey.Key, resp3 bool) []byte {
	dst = resp.AppendMapHeader(dst, 24, resp3)
	dst = appendRaw(dst, "key", k.Name)
	dst = appendNumber(dst, "key-length", int64(k.Length))
	dst = appendPair(dst, "key-hash", k.Hash)
	dst = appendNumber(dst, "counter", int64(k.Heat))
	dst = appendDecimal(dst, "qps", k.QPS, resp3)
	dst = appendDecimal(dst, "peak-qps", k.Peak, resp3)
	dst = appendNumber(dst, "count", int64(k.Count))
	dst = appendNumber(dst, "error", int64(k.Error))
	dst = appendNumber(dst, "sampling-error", int64(k.SamplingError))
	dst = appendDecimal(dst, "node-share", k.NodeShare, resp3)
	dst = appendDecimal(dst, "share", k.Share, resp3)
	dst = appendNumber(dst, "reads", int64(k.Reads))
	dst = appendNumber(dst, "writes", int64(k.Writes))
	dst = appendParts(dst, "commands", k.Commands, resp3)
	dst = appendParts(dst, "clients", k.Clients, resp3)
	dst = appendNumber(dst, "bytes-in", int64(k.BytesIn))
	dst = appendNumber(dst, "bytes-out", int64(k.BytesOut))
	dst = appendNumber(dst, "slot", int64(k.Slot))
	dst = appendPair(dst, "node", k.Node)
	dst = appendNumber(dst, "first-seen-unix-ms", k.FirstSeen.UnixMilli())
	dst = appendNumber(dst, "last-seen-unix-ms", k.LastSeen.UnixMilli())
	dst = appendNumber(dst, "report-unix-ms", r.Time.UnixMilli())
	dst = appendNumber(dst, "window-ms", r.Window.Milliseconds())
	return appendDecimal(dst, "sample-rate", r.SampleRate, resp3)
}

// appendHotSlots appends slots as maps. owner tells the address of a slot's master.
func appendHotSlots(dst []byte, slots []hotkey.Slot, count int, owner func(slot int) string, resp3 bool) []byte {
	slots = first(slots, count)
	dst = resp.AppendArrayHeader(dst, len(slots))
	for i := range slots {
		s := &slots[i]
		dst = resp.AppendMapHeader(dst, 6, resp3)
		dst = appendNumber(dst, "slot", int64(s.Slot))
		dst = appendPair(dst, "node", owner(s.Slot))
		dst = appendNumber(dst, "requests", int64(s.Requests))
		dst = appendNumber(dst, "writes", int64(s.Writes))
		dst = appendNumber(dst, "bytes", int64(s.Bytes))
		dst = appendDecimal(dst, "qps", s.QPS, resp3)
	}
	return dst
}

// appendHotValues appends the largest values as maps.
func appendHotValues(dst []byte, values []hotkey.Value, count int, resp3 bool) []byte {
	values = first(values, count)
	dst = resp.AppendArrayHeader(dst, len(values))
	for i := range values {
		v := &values[i]
		dst = resp.AppendMapHeader(dst, 6, resp3)
		dst = appendRaw(dst, "key", v.Key)
		dst = appendNumber(dst, "key-length", int64(v.Length))
		dst = appendNumber(dst, "size", int64(v.Size))
		dst = appendPair(dst, "command", v.Command)
		dst = appendNumber(dst, "slot", int64(v.Slot))
		dst = appendNumber(dst, "seen-unix-ms", v.Seen.UnixMilli())
	}
	return dst
}

// appendParts appends who shares the hits of a key as a map of names to hits.
func appendParts(dst []byte, name string, parts []hotkey.Part, resp3 bool) []byte {
	dst = resp.AppendBulkString(dst, name)
	dst = resp.AppendMapHeader(dst, len(parts), resp3)
	for _, p := range parts {
		dst = appendNumber(dst, p.Name, int64(p.Hits))
	}
	return dst
}

// appendRaw appends a field whose value may contain any bytes.
func appendRaw(dst []byte, name string, value []byte) []byte {
	return resp.AppendBulk(resp.AppendBulkString(dst, name), value)
}

// appendDecimal appends a field that is a rate or a share. More than six decimals
// would be noise.
func appendDecimal(dst []byte, name string, v float64, resp3 bool) []byte {
	return resp.AppendDouble(resp.AppendBulkString(dst, name), math.Round(v*1e6)/1e6, resp3)
}
