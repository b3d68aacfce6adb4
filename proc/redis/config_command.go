package redis

import (
	"bytes"
	"strconv"
	"time"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// configFuncs are the subcommands of CONFIG that only read. Those that change
// something are refused by the command table.
var configFuncs = map[string]localFunc{
	"config|get": (*session).configGet,
	"config|help": help(
		"CONFIG <subcommand> [<arg> ...]. The subcommands that this proxy knows are:",
		"GET <pattern> [<pattern> ...]",
		"    The parameters that match, of the few that clients ask for.",
	),
}

// parameter is one that CONFIG GET knows.
type parameter struct{ name, value string }

// parameters are what clients and benchmarks look at when they start. Nodes may
// differ in theirs; these describe what the proxy shows of itself.
func (s *session) parameters() []parameter {
	local := localAddress(s.fd)
	limit := s.w.proc.svc.Load().Config.GetListener().GetConnectionLimit()
	return []parameter{
		{"appendonly", "no"},
		{"bind", local.ip},
		{"cluster-enabled", "no"},
		{"databases", "1"},
		{"maxclients", strconv.FormatUint(uint64(limit), 10)},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"notify-keyspace-events", ""},
		{"port", strconv.Itoa(local.port)},
		{"proto-max-bulk-len", strconv.Itoa(resp.MaxBulk)},
		{"save", ""},
		{"timeout", strconv.FormatInt(int64(s.w.settings.idleTimeout/time.Second), 10)},
	}
}

// configGet gives each parameter once. As in Redis 7.0 one that was asked for by its
// plain name is called as it was asked for.
func (s *session) configGet(_ *command.Info, frame []byte, args []resp.Arg) {
	all := s.parameters()
	shown := make([]string, len(all)) // the names to give, "" for none
	found := 0
	for i := 2; i < len(args); i++ {
		pattern := argument(frame, args, i)
		plain := !bytes.ContainsAny(pattern, "[*?")
		for k := range all {
			switch {
			case shown[k] != "":
				continue
			case plain && equalFold(pattern, all[k].name):
				shown[k] = string(pattern)
			case !plain && globMatch(pattern, all[k].name):
				shown[k] = all[k].name
			default:
				continue
			}
			found++
		}
	}
	b := resp.AppendMapHeader(s.scratch(), found, s.resp3())
	for k := range all {
		if shown[k] != "" {
			b = appendPair(b, shown[k], all[k].value)
		}
	}
	s.reply(b)
}
