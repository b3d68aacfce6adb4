package command

// newerSections is what came after Redis 7.0, from Redis' and Valkey's command pages. No test
// compares these rows with a server. What both have is listed as Redis', with Redis' version.
var newerSections = []section{
	{"string", newerStringRows},
	{"hash", newerHashRows},
	{"stream", newerStreamRows},
	{"generic", newerGenericRows},
	{"connection", newerConnectionRows},
	{"scripting", newerScriptingRows},
	{"server", newerServerRows},
	{"cluster", newerClusterRows},
	{"server", proxyRows},
}

var newerStringRows = []Info{
	{Name: "delex", Arity: -2, Flags: Write | Fast, ACL: CatString, Specs: keys(at(1, KeyRM|KeyDelete)), Since: "8.4.0"},
	{Name: "delifeq", Arity: 3, Flags: Write | Fast, ACL: CatString, Specs: keys(at(1, KeyRM|KeyDelete)), Origin: OriginValkey, Since: "9.0.0"},
	{Name: "digest", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Specs: keys(at(1, KeyRO|KeyAccess)), Since: "8.4.0"},
	{Name: "msetex", Arity: -4, Flags: Write | DenyOOM | MovableKeys, ACL: CatString, Specs: keys(countedStep(1, 2, KeyOW|KeyUpdate)), Since: "8.4.0"},
}

var newerHashRows = []Info{
	{Name: "hexpire", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyUpdate)), Since: "7.4.0"},
	{Name: "hexpireat", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyUpdate)), Since: "7.4.0"},
	{Name: "hexpiretime", Arity: -5, Flags: ReadOnly | Fast, ACL: CatHash, Specs: keys(at(1, KeyRO|KeyAccess)), Since: "7.4.0"},
	{Name: "hgetdel", Arity: -5, Flags: Write | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyAccess|KeyDelete)), Since: "8.0.0"},
	{Name: "hgetex", Arity: -5, Flags: Write | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyAccess|KeyUpdate)), Since: "8.0.0"},
	{Name: "hpersist", Arity: -5, Flags: Write | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyUpdate)), Since: "7.4.0"},
	{Name: "hpexpire", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyUpdate)), Since: "7.4.0"},
	{Name: "hpexpireat", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyUpdate)), Since: "7.4.0"},
	{Name: "hpexpiretime", Arity: -5, Flags: ReadOnly | Fast, ACL: CatHash, Specs: keys(at(1, KeyRO|KeyAccess)), Since: "7.4.0"},
	{Name: "hpttl", Arity: -5, Flags: ReadOnly | Fast, ACL: CatHash, Specs: keys(at(1, KeyRO|KeyAccess)), Tips: tips("nondeterministic_output"), Since: "7.4.0"},
	{Name: "hsetex", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Specs: keys(at(1, KeyRW|KeyUpdate)), Since: "8.0.0"},
	{Name: "httl", Arity: -5, Flags: ReadOnly | Fast, ACL: CatHash, Specs: keys(at(1, KeyRO|KeyAccess)), Tips: tips("nondeterministic_output"), Since: "7.4.0"},
}

var newerStreamRows = []Info{
	{Name: "xackdel", Arity: -6, Flags: Write | Fast, ACL: CatStream, Specs: keys(at(1, KeyRW|KeyUpdate|KeyDelete)), Since: "8.2.0"},
	{Name: "xdelex", Arity: -5, Flags: Write | Fast, ACL: CatStream, Specs: keys(at(1, KeyRW|KeyUpdate|KeyDelete)), Since: "8.2.0"},
}

var newerGenericRows = []Info{
	{Name: "waitaof", Arity: 4, Flags: NoScript | Blocking, Tips: tips("request_policy:all_shards", "response_policy:agg_min"), Handling: Refused, Reason: ReasonBlocking, Since: "7.2.0"},
}

var newerConnectionRows = []Info{
	{Name: "client|capa", Arity: -3, Flags: NoScript | Loading | Stale, ACL: CatConnection, Handling: Local, Origin: OriginValkey, Since: "8.0.0"},
	{Name: "client|import-source", Arity: 3, Flags: NoScript | Loading | Stale, ACL: CatConnection, Handling: Local, Origin: OriginValkey, Since: "8.1.0"},
	{Name: "client|no-touch", Arity: 3, Flags: NoScript | Loading | Stale, ACL: CatConnection, Handling: Local, Since: "7.2.0"},
	{Name: "client|setinfo", Arity: 4, Flags: NoScript | Loading | Stale, ACL: CatConnection, Handling: Local, Since: "7.2.0"},
}

var newerScriptingRows = []Info{
	{Name: "script|show", Arity: 3, Flags: NoScript, ACL: CatScripting, Handling: AnyNode, Origin: OriginValkey, Since: "8.0.0"},
}

var newerServerRows = []Info{
	{Name: "commandlog", Arity: -2, Handling: Refused, Reason: ReasonAdmin, Origin: OriginValkey, Since: "8.1.0"},
	{Name: "commandlog|get", Arity: 4, Flags: Admin | Loading | Stale, Tips: tips("request_policy:all_nodes", "nondeterministic_output"), Handling: Refused, Reason: ReasonAdmin, Origin: OriginValkey, Since: "8.1.0"},
	{Name: "commandlog|help", Arity: 2, Flags: Loading | Stale, Handling: AnyNode, Origin: OriginValkey, Since: "8.1.0"},
	{Name: "commandlog|len", Arity: 3, Flags: Admin | Loading | Stale, Tips: tips("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"), Handling: Refused, Reason: ReasonAdmin, Origin: OriginValkey, Since: "8.1.0"},
	{Name: "commandlog|reset", Arity: 3, Flags: Admin | Loading | Stale, Tips: tips("request_policy:all_nodes", "response_policy:all_succeeded"), Handling: Refused, Reason: ReasonAdmin, Origin: OriginValkey, Since: "8.1.0"},
}

var newerClusterRows = []Info{
	{Name: "cluster|cancelslotmigrations", Arity: 2, Flags: Admin | Stale | NoAsyncLoading, Handling: Refused, Reason: ReasonAdmin, Origin: OriginValkey, Since: "9.0.0"},
	{Name: "cluster|getslotmigrations", Arity: 2, Flags: Admin | Stale, Handling: Refused, Reason: ReasonAdmin, Origin: OriginValkey, Since: "9.0.0"},
	{Name: "cluster|migrateslots", Arity: -2, Flags: Admin | Stale | NoAsyncLoading, Handling: Refused, Reason: ReasonAdmin, Origin: OriginValkey, Since: "9.0.0"},
	{Name: "cluster|migration", Arity: -4, Flags: Admin | Stale | NoAsyncLoading, Handling: Refused, Reason: ReasonAdmin, Since: "8.4.0"},
	{Name: "cluster|myshardid", Arity: 2, Flags: Loading | Stale, Tips: tips("nondeterministic_output"), Handling: Local, Since: "7.2.0"},
	{Name: "cluster|slot-stats", Arity: -4, Flags: Loading | Stale, Tips: tips("nondeterministic_output", "request_policy:all_shards"), Handling: Refused, Reason: ReasonCrossNode, Since: "8.2.0"},
}

// proxyRows is the proxy's own. HOTKEYS has the shape that Redis gave it in 8.6 and is answered here.
var proxyRows = []Info{
	{Name: "hotkey", Arity: -1, Flags: Loading | Stale, Handling: Local, Origin: OriginProxy, Since: "1.0.0"},
	{Name: "hotkey|big", Arity: -2, Flags: Loading | Stale, Handling: Local, Origin: OriginProxy, Since: "1.0.0"},
	{Name: "hotkey|help", Arity: 2, Flags: Loading | Stale, Handling: Local, Origin: OriginProxy, Since: "1.0.0"},
	{Name: "hotkey|list", Arity: -2, Flags: Loading | Stale, Handling: Local, Origin: OriginProxy, Since: "1.0.0"},
	{Name: "hotkey|reset", Arity: 2, Flags: Loading | Stale, Handling: Local, Origin: OriginProxy, Since: "1.0.0"},
	{Name: "hotkey|slots", Arity: -2, Flags: Loading | Stale, Handling: Local, Origin: OriginProxy, Since: "1.0.0"},
	{Name: "hotkeys", Arity: -2, Handling: Local, Origin: OriginProxy, Since: "8.6.0"},
	{Name: "hotkeys|get", Arity: -2, Flags: Admin | NoScript, Handling: Local, Origin: OriginProxy, Since: "8.6.0"},
	{Name: "hotkeys|help", Arity: 2, Flags: Loading | Stale, Handling: Local, Origin: OriginProxy, Since: "8.6.0"},
	{Name: "hotkeys|reset", Arity: 2, Flags: Admin | NoScript, Handling: Local, Origin: OriginProxy, Since: "8.6.0"},
	{Name: "hotkeys|start", Arity: -2, Flags: Admin | NoScript, Handling: Local, Origin: OriginProxy, Since: "8.6.0"},
	{Name: "hotkeys|stop", Arity: 2, Flags: Admin | NoScript, Handling: Local, Origin: OriginProxy, Since: "8.6.0"},
}
