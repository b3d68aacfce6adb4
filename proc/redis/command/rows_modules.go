package command

// moduleSections is the commands of the modules that Redis ships or shipped, those whose keys are
// known. A module checks its arguments itself, so the arity is -1 as the server prints it; without
// a key the request goes to any node, which gives the module's error. The group is the module's
// name. No test compares these rows with a server. Commands with several keys list them all here,
// also where the module's own entry in COMMAND names only the first: a proxy has to see them.
var moduleSections = []section{
	{"json", jsonRows},
	{"bf", bloomRows},
	{"cf", cuckooRows},
	{"cms", countMinSketchRows},
	{"topk", topKRows},
	{"tdigest", tDigestRows},
	{"timeseries", timeSeriesRows},
	{"vectorset", vectorSetRows},
}

var jsonRows = []Info{
	{Name: "json.arrappend", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.arrindex", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.arrinsert", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.arrlen", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.arrpop", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.arrtrim", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.clear", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "json.debug", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(2, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.del", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.forget", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.get", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.merge", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.6.0"},
	{Name: "json.mget", Arity: -1, Flags: ReadOnly | Module, Specs: keys(span(1, -2, 1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.mset", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(span(1, -1, 3, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.6.0"},
	{Name: "json.numincrby", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.nummultby", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.objkeys", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.objlen", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.resp", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.set", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.strappend", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.strlen", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "json.toggle", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "json.type", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
}

var bloomRows = []Info{
	{Name: "bf.add", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.card", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.4"},
	{Name: "bf.exists", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.info", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.insert", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.loadchunk", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.madd", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.mexists", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.reserve", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "bf.scandump", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
}

var cuckooRows = []Info{
	{Name: "cf.add", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.addnx", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.compact", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.count", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.del", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.exists", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.info", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.insert", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.insertnx", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.loadchunk", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.mexists", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.reserve", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "cf.scandump", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
}

var countMinSketchRows = []Info{
	{Name: "cms.incrby", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "cms.info", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "cms.initbydim", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "cms.initbyprob", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "cms.merge", Arity: -1, Flags: Write | DenyOOM | MovableKeys | Module, Specs: keys(at(1, KeyRW|KeyUpdate), counted(2, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "cms.query", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.0.0"},
}

var topKRows = []Info{
	{Name: "topk.add", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "topk.count", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "topk.incrby", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "topk.info", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "topk.list", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "topk.query", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.0.0"},
	{Name: "topk.reserve", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.0.0"},
}

var tDigestRows = []Info{
	{Name: "tdigest.add", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.byrank", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.byrevrank", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.cdf", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.create", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.info", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.max", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.merge", Arity: -1, Flags: Write | DenyOOM | MovableKeys | Module, Specs: keys(at(1, KeyRW|KeyUpdate), counted(2, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.min", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.quantile", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.rank", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.reset", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.revrank", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
	{Name: "tdigest.trimmed_mean", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "2.4.0"},
}

var timeSeriesRows = []Info{
	{Name: "ts.add", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.alter", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.create", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.createrule", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(span(1, 1, 1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.decrby", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.del", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.6.0"},
	{Name: "ts.deleterule", Arity: -1, Flags: Write | Module, Specs: keys(span(1, 1, 1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.get", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.incrby", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.info", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.madd", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(span(1, -1, 3, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.mget", Arity: -1, Flags: ReadOnly | Module, Handling: Refused, Reason: ReasonCrossNode, Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.mrange", Arity: -1, Flags: ReadOnly | Module, Handling: Refused, Reason: ReasonCrossNode, Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.mrevrange", Arity: -1, Flags: ReadOnly | Module, Handling: Refused, Reason: ReasonCrossNode, Origin: OriginModule, Since: "1.4.0"},
	{Name: "ts.queryindex", Arity: -1, Flags: ReadOnly | Module, Handling: Refused, Reason: ReasonCrossNode, Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.range", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.0.0"},
	{Name: "ts.revrange", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "1.4.0"},
}

var vectorSetRows = []Info{
	{Name: "vadd", Arity: -1, Flags: Write | DenyOOM | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vcard", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vdim", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vemb", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vgetattr", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vinfo", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vismember", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vlinks", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vrandmember", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vrange", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.4.0"},
	{Name: "vrem", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vsetattr", Arity: -1, Flags: Write | Module, Specs: keys(at(1, KeyRW|KeyUpdate)), Origin: OriginModule, Since: "8.0.0"},
	{Name: "vsim", Arity: -1, Flags: ReadOnly | Module, Specs: keys(at(1, KeyRO|KeyAccess)), Origin: OriginModule, Since: "8.0.0"},
}
