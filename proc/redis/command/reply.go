package command

import "samaritan/proc/redis/resp"

// AppendInfo appends the entry of COMMAND and COMMAND INFO for i as Redis prints it, and null for
// nil. Only the free text that Redis has beside some key specs ("notes") is left out; clients have no
// use for it.
func AppendInfo(dst []byte, i *Info, resp3 bool) []byte {
	if i == nil {
		return resp.AppendNull(dst, resp3)
	}
	dst = resp.AppendArrayHeader(dst, 10)
	dst = resp.AppendBulkString(dst, i.Name)
	dst = resp.AppendInt(dst, int64(i.Arity))
	dst = appendStatusSet(dst, i.Flags.Names(), resp3)
	dst = resp.AppendInt(dst, int64(i.FirstKey))
	dst = resp.AppendInt(dst, int64(i.LastKey))
	dst = resp.AppendInt(dst, int64(i.Step))
	dst = appendStatusSet(dst, i.ACL.Names(), resp3)
	dst = resp.AppendSetHeader(dst, len(i.Tips), resp3)
	for _, tip := range i.Tips {
		dst = resp.AppendBulkString(dst, tip)
	}
	dst = resp.AppendSetHeader(dst, len(i.Specs), resp3)
	for n := range i.Specs {
		dst = i.Specs[n].appendTo(dst, resp3)
	}
	// Under RESP3 Redis 7.0 has an array here, but a set when there are none.
	dst = resp.AppendSetHeader(dst, len(i.Subcommands), resp3 && !i.Container())
	for _, s := range i.Subcommands {
		dst = AppendInfo(dst, s, resp3)
	}
	return dst
}

func appendStatusSet(dst []byte, names []string, resp3 bool) []byte {
	dst = resp.AppendSetHeader(dst, len(names), resp3)
	for _, name := range names {
		dst = resp.AppendSimple(dst, name)
	}
	return dst
}

func (s *KeySpec) appendTo(dst []byte, resp3 bool) []byte {
	dst = resp.AppendMapHeader(dst, 3, resp3)
	dst = resp.AppendBulkString(dst, "flags")
	dst = appendStatusSet(dst, s.Flags.Names(), resp3)
	dst = resp.AppendBulkString(dst, "begin_search")
	dst = s.appendBegin(dst, resp3)
	dst = resp.AppendBulkString(dst, "find_keys")
	return s.appendFind(dst, resp3)
}

func (s *KeySpec) appendBegin(dst []byte, resp3 bool) []byte {
	switch s.Begin {
	case BeginIndex:
		dst = appendSpecHeader(dst, "index", 1, resp3)
		return appendField(dst, "index", s.Index)
	case BeginKeyword:
		dst = appendSpecHeader(dst, "keyword", 2, resp3)
		dst = resp.AppendBulkString(dst, "keyword")
		dst = resp.AppendBulkString(dst, s.Keyword)
		return appendField(dst, "startfrom", s.StartFrom)
	default:
		return appendSpecHeader(dst, "unknown", 0, resp3)
	}
}

func (s *KeySpec) appendFind(dst []byte, resp3 bool) []byte {
	switch s.Find {
	case FindRange:
		dst = appendSpecHeader(dst, "range", 3, resp3)
		dst = appendField(dst, "lastkey", s.LastKey)
		dst = appendField(dst, "keystep", s.KeyStep)
		return appendField(dst, "limit", s.Limit)
	case FindKeyNum:
		dst = appendSpecHeader(dst, "keynum", 3, resp3)
		dst = appendField(dst, "keynumidx", s.KeyNumIdx)
		dst = appendField(dst, "firstkey", s.FirstKey)
		return appendField(dst, "keystep", s.KeyStep)
	default:
		return appendSpecHeader(dst, "unknown", 0, resp3)
	}
}

// appendSpecHeader begins {type: kind, spec: {...}}; the n pairs of the inner map follow.
func appendSpecHeader(dst []byte, kind string, n int, resp3 bool) []byte {
	dst = resp.AppendMapHeader(dst, 2, resp3)
	dst = resp.AppendBulkString(dst, "type")
	dst = resp.AppendBulkString(dst, kind)
	dst = resp.AppendBulkString(dst, "spec")
	return resp.AppendMapHeader(dst, n, resp3)
}

func appendField(dst []byte, name string, v int) []byte {
	return resp.AppendInt(resp.AppendBulkString(dst, name), int64(v))
}
