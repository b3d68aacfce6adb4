package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/api/hc"
	"samaritan/api/protocol"
	"samaritan/api/service"
)

// maxNameLen is the most bytes the name of a service may have.
const maxNameLen = 255

// checkBootstrap reports what is wrong with a config whose defaults are set.
func checkBootstrap(r *report, b *bootstrap.Bootstrap) {
	v := &validator{report: r}
	v.log(b.Log)
	v.sinks(b.Stats.GetSinks())
	taken := newListeners()
	if v.address("admin.bind", b.Admin.Bind, 0) {
		taken.add(b.Admin.Bind, "admin.bind")
	}
	v.staticServices(b.StaticServices, taken)
	if s := b.DynamicSourceConfig; s != nil {
		v.source("dynamic_source_config", s)
	}
}

// validator reports what is wrong, save what decoding has reported.
type validator struct {
	*report
}

func (v *validator) fail(path, format string, args ...any) {
	if !v.isBroken(path) {
		v.add(path, format, args...)
	}
}

func (v *validator) log(l *bootstrap.Log) {
	if l.Output.Type == bootstrap.Log_Output_SYSLOG {
		v.hostPort("log.output.target", l.Output.Target)
	}
}

func (v *validator) sinks(sinks []*bootstrap.Sink) {
	for i, s := range sinks {
		path := indexPath("stats.sinks", i)
		if s.Type == bootstrap.Sink_UNKNOWN {
			v.fail(path+".type", "is required: %s", strings.Join(enumNames(s.Type.Descriptor()), ", "))
		}
		v.hostPort(path+".endpoint", s.Endpoint)
	}
}

func (v *validator) staticServices(services []*bootstrap.StaticService, taken *listeners) {
	first := map[string]string{} // name -> path of its first use
	for i, s := range services {
		path := indexPath("static_services", i)
		v.name(path+".name", s.Name)
		if other, ok := first[s.Name]; ok {
			v.fail(path+".name", "is the name of another service too, %s", v.place(other))
		} else if s.Name != "" {
			first[s.Name] = path + ".name"
		}
		v.staticService(path, s, taken)
	}
}

func (v *validator) staticService(path string, s *bootstrap.StaticService, taken *listeners) {
	if len(s.Endpoints) == 0 {
		v.fail(path+".endpoints", "must have at least one endpoint")
	}
	v.endpoints(path+".endpoints", s.Endpoints)
	if s.Config == nil {
		v.fail(path+".config", "is required")
		return
	}
	if !v.config(path+".config", s.Config) {
		return
	}
	at := path + ".config.listener.address"
	if other := taken.add(s.Config.Listener.Address, at); other != "" {
		v.fail(at, "is taken already by %s", v.place(other))
	}
}

// place names another field and where it stands.
func (v *validator) place(path string) string {
	if line := v.lineOf(path); line > 0 {
		return path + " (line " + strconv.Itoa(line) + ")"
	}
	return path
}

// name checks the name of a service, which goes into logs, stats and errors.
func (v *validator) name(path, name string) {
	switch {
	case name == "":
		v.fail(path, "is required")
	case len(name) > maxNameLen:
		v.fail(path, "must have at most %d bytes, has %d", maxNameLen, len(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }):
		v.fail(path, "must be printable, is %q", clip(name))
	}
}

// config checks the config of a service and tells whether its listener is fine.
func (v *validator) config(path string, c *service.Config) (listens bool) {
	listens = v.listener(path+".listener", c.Listener)
	if c.HealthCheck != nil {
		v.healthCheck(path+".health_check", c.HealthCheck, c.Protocol)
	}
	v.positive(path+".connect_timeout", c.ConnectTimeout)
	v.positive(path+".idle_timeout", c.IdleTimeout)
	if v.known(path+".protocol", c.Protocol) {
		v.forProtocol(path, c)
	}
	v.known(path+".lb_policy", c.LbPolicy)
	return listens
}

func (v *validator) listener(path string, l *service.Listener) bool {
	switch {
	case l == nil:
		v.fail(path, "is required")
		return false
	case l.Address == nil:
		v.fail(path+".address", "is required")
		return false
	}
	return v.address(path+".address", l.Address, 0)
}

// forProtocol checks what depends on the protocol.
func (v *validator) forProtocol(path string, c *service.Config) {
	if c.Protocol == protocol.Protocol_UNKNOWN {
		v.fail(path+".protocol", "is required: %s", strings.Join(enumNames(c.Protocol.Descriptor()), ", "))
		return
	}
	if c.LbPolicy == service.LoadBalancePolicy_CLUSTER_PROVIDED && c.Protocol != protocol.Protocol_Redis {
		v.fail(path+".lb_policy", "must not be %s: the protocol %s has no cluster", c.LbPolicy, c.Protocol)
	}
	option, owner := optionOf(c)
	if option != "" && owner != c.Protocol {
		v.fail(path+"."+option, "must not be given: the protocol is %s", c.Protocol)
		return
	}
	if o := c.GetRedisOption(); o != nil {
		v.redisOption(path+".redis_option", o)
	} else if o := streamOption(c); o != nil {
		v.streamOption(path+"."+option, o)
	}
}

// optionOf names the option that is set and the protocol it belongs to.
func optionOf(c *service.Config) (string, protocol.Protocol) {
	switch c.ProtocolOptions.(type) {
	case *service.Config_TcpOption:
		return "tcp_option", protocol.Protocol_TCP
	case *service.Config_RedisOption:
		return "redis_option", protocol.Protocol_Redis
	case *service.Config_MysqlOption:
		return "mysql_option", protocol.Protocol_MySQL
	}
	return "", protocol.Protocol_UNKNOWN
}

func (v *validator) redisOption(path string, o *protocol.RedisOption) {
	v.known(path+".read_strategy", o.ReadStrategy)
	v.positive(path+".request_timeout", o.RequestTimeout)
	v.positive(path+".slow_threshold", o.SlowThreshold)
	v.compression(path+".compression", o.Compression)
	v.hotKeys(path+".hot_keys", o.HotKeys)
}

func (v *validator) healthCheck(path string, h *hc.HealthCheck, p protocol.Protocol) {
	v.positive(path+".interval", h.Interval)
	v.positive(path+".timeout", h.Timeout)
	switch c := h.Checker.(type) {
	case *hc.HealthCheck_MysqlChecker:
		if p == protocol.Protocol_Redis {
			v.fail(path+".mysql_checker", "must not be given: the protocol is %s", p)
		}
		if strings.ContainsRune(c.MysqlChecker.GetUsername(), 0) { // it ends names in MySQL's protocol
			v.fail(path+".mysql_checker.username", "must have no NUL")
		}
	case *hc.HealthCheck_RedisChecker:
		if p == protocol.Protocol_MySQL {
			v.fail(path+".redis_checker", "must not be given: the protocol is %s", p)
		}
		if c.RedisChecker.GetUsername() != "" && c.RedisChecker.GetPassword() == "" {
			v.fail(path+".redis_checker.password", "is required with username")
		}
	}
}

func (v *validator) endpoints(path string, endpoints []*service.Endpoint) {
	first := make(map[endpointKey]int, len(endpoints))
	for i, e := range endpoints {
		at := indexPath(path, i)
		v.known(at+".state", e.GetState())
		v.known(at+".type", e.GetType())
		if e.GetAddress() == nil {
			v.fail(at+".address", "is required")
			continue
		}
		if !v.address(at+".address", e.Address, 1) {
			continue
		}
		j, ok := first[keyOf(e)]
		if !ok {
			first[keyOf(e)] = i
		} else if !sameEndpoint(endpoints[j], e) {
			v.fail(at, "differs from %s, which has the same address", v.place(indexPath(path, j)))
		}
	}
}

// address checks an address with a port of at least minPort.
func (v *validator) address(path string, a *common.Address, minPort uint32) bool {
	ipOK, portOK := v.ip(path+".ip", a.Ip), a.Port >= minPort && a.Port <= 65535
	if !portOK {
		v.fail(path+".port", "must be %d..65535, is %d", minPort, a.Port)
	}
	return ipOK && portOK && !v.isBroken(path+".ip") && !v.isBroken(path+".port")
}

func (v *validator) ip(path, ip string) bool {
	if ip == "" {
		v.fail(path, "is required")
		return false
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		v.fail(path, "must be an IPv4 or IPv6 address, is %q", clip(ip))
		return false
	}
	return true
}

func (v *validator) positive(path string, d *durationpb.Duration) {
	if err := d.CheckValid(); err != nil {
		v.fail(path, "must be a valid duration")
	} else if d.AsDuration() <= 0 {
		v.fail(path, "must be more than 0s, is %s", d.AsDuration())
	}
}

// known checks a number that may come from a newer program over the wire.
func (v *validator) known(path string, e protoreflect.Enum) bool {
	if e.Descriptor().Values().ByNumber(e.Number()) != nil {
		return true
	}
	v.fail(path, "must be one of %s, is %d", strings.Join(enumNames(e.Descriptor()), ", "), e.Number())
	return false
}

// hostPort checks the address of a server that may have a host name.
func (v *validator) hostPort(path, s string) {
	if s == "" {
		v.fail(path, `is required, as "host:port"`)
		return
	}
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || !isHost(host) {
		v.fail(path, `must be "host:port", is %q`, clip(s))
	}
}

// isHost tells whether s is an IP address or has the form of a host name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if len(label) > 63 || !isPlainName(label) || label[0] == '-' {
			return false
		}
	}
	return true
}
