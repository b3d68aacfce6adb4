package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/bootstrap"
)

// headings are the tables of docs/configuration.md: the heading above one, and where
// its fields are.
var headings = map[string]string{
	"Top level":                       "",
	"instance":                        "instance.",
	"log":                             "log.",
	"admin":                           "admin.",
	"stats":                           "stats.",
	"dynamic_source_config":           "dynamic_source_config.",
	"A service":                       "static_services[].",
	"config":                          "static_services[].config.",
	"config.redis_option":             "static_services[].config.redis_option.",
	"config.redis_option.hot_keys":    "static_services[].config.redis_option.hot_keys.",
	"config.redis_option.compression": "static_services[].config.redis_option.compression.",
	"config.tcp_option":               "static_services[].config.tcp_option.",
	"config.mysql_option":             "static_services[].config.mysql_option.",
	"config.health_check":             "static_services[].config.health_check.",
	"endpoints":                       "static_services[].endpoints[].",
}

// docRow is one line of the tables.
type docRow struct{ def, unit, live, meaning string }

var (
	headingLine = regexp.MustCompile(`^##+ (.*)$`)
	fieldLine   = regexp.MustCompile("^\\| `([^`]+)` \\|(.*)\\|(.*)\\|(.*)\\|(.*)\\|$")
)

// documented returns the fields of the page by their full paths.
func documented(t *testing.T) map[string]docRow {
	t.Helper()
	page, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	rows := map[string]docRow{}
	heading := ""
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if m := headingLine.FindStringSubmatch(line); m != nil {
			heading = m[1]
		}
		m := fieldLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		prefix, ok := headings[heading]
		require.Truef(t, ok, "docs/configuration.md: a table of fields under %q", heading)
		path := prefix + m[1]
		assert.Emptyf(t, rows[path], "%s is documented twice", path)
		rows[path] = docRow{strings.TrimSpace(m[2]), strings.TrimSpace(m[3]), strings.TrimSpace(m[4]), strings.TrimSpace(m[5])}
	}
	return rows
}

// schemaField is a field that a file may have.
type schemaField struct {
	desc protoreflect.FieldDescriptor
	leaf bool // no fields of it are fields of a file themselves
}

// fields adds all fields below a message, by their paths.
func fields(prefix string, md protoreflect.MessageDescriptor, to map[string]schemaField) {
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		path := prefix + string(fd.Name())
		below := fd.Message() != nil && !isDuration(fd) && fd.Message().Fields().Len() > 0
		to[path] = schemaField{fd, !below}
		if !below {
			continue
		}
		if fd.IsList() {
			path += "[]"
		}
		fields(path+".", fd.Message(), to)
	}
}

func TestDocsHaveEveryFieldOfTheSchema(t *testing.T) {
	rows := documented(t)
	known := map[string]schemaField{}
	fields("", (&bootstrap.Bootstrap{}).ProtoReflect().Descriptor(), known)
	for path, f := range known {
		if f.leaf {
			_, ok := rows[path]
			assert.Truef(t, ok, "docs/configuration.md lacks %s", path)
		}
	}
	for path, row := range rows {
		f, ok := known[path]
		assert.Truef(t, ok, "docs/configuration.md has %s, which is not in the schema", path)
		assert.Containsf(t, []string{"yes", "moves", "anew", "no", ""}, row.live, "%s: column Live", path)
		assert.NotEmptyf(t, row.def, "%s: column Default", path)
		if ok && f.leaf {
			assert.NotEmptyf(t, row.unit, "%s: column Unit and range", path)
		}
		if ok && f.desc.Enum() != nil {
			for _, name := range docEnumNames(f.desc.Enum()) {
				assert.Containsf(t, row.unit, "`"+name+"`", "%s: a value is missing", path)
			}
		}
	}
}

// docEnumNames are the values that somebody may give, without the other spellings.
func docEnumNames(ed protoreflect.EnumDescriptor) []string {
	var names []string
	for i := range ed.Values().Len() {
		name := string(ed.Values().Get(i).Name())
		if name == "WARING" || name == "WARNING" || name == "UNKNOWN" && i == 0 {
			continue // other spellings of WARN, and what is not set
		}
		names = append(names, name)
	}
	return names
}

// shortest are files with as little as there may be; together they have every message
// that has defaults.
var shortest = []string{
	`{}`,
	`{instance: {}, dynamic_source_config: {endpoint: "h:1", tls: {}}, stats: {sinks: [{type: STATSD, endpoint: "h:1"}]}}`,
	service1("Redis", "redis_checker: {}"),
	service1("TCP", "atcp_checker: {action: [{}]}"),
	service1("MySQL", "mysql_checker: {}"),
}

func service1(protocol, checker string) string {
	return `{static_services: [{name: x, config: {listener: {address: {ip: 127.0.0.1}}, protocol: ` + protocol +
		`, health_check: {` + checker + `}}, endpoints: [{address: {ip: 127.0.0.1, port: 1}}]}]}`
}

func TestDocsHaveTheDefaultsOfTheProgram(t *testing.T) {
	rows := documented(t)
	seen := map[string]bool{}
	for _, text := range shortest {
		b, err := Parse("shortest", []byte(text))
		require.NoError(t, err)
		walk("", b.Proto.ProtoReflect(), func(path string, fd protoreflect.FieldDescriptor, v protoreflect.Value) {
			seen[path] = true
			first, _, _ := strings.Cut(strings.NewReplacer(":", " ", "`", "").Replace(rows[path].def), " ")
			if first == "required" {
				return
			}
			assert.Containsf(t, defaultsOf(fd, v), first, "%s: column Default", path)
		})
	}
	for path := range rows {
		known := map[string]schemaField{}
		fields("", (&bootstrap.Bootstrap{}).ProtoReflect().Descriptor(), known)
		if f := known[path]; f.leaf && f.desc.Message() == nil {
			assert.Truef(t, seen[path], "%s: no file of this test has the message it is in", path)
		}
	}
}

// walk visits the fields with a value of each message that is set.
func walk(prefix string, m protoreflect.Message, visit func(string, protoreflect.FieldDescriptor, protoreflect.Value)) {
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		path := prefix + string(fd.Name())
		switch {
		case fd.IsList() && fd.Message() != nil:
			for j := range m.Get(fd).List().Len() {
				walk(path+"[].", m.Get(fd).List().Get(j).Message(), visit)
			}
		case fd.Message() == nil || isDuration(fd):
			visit(path, fd, m.Get(fd))
		case m.Has(fd):
			walk(path+".", m.Get(fd).Message(), visit)
		}
	}
}

// defaultsOf is how a value may stand in the page.
func defaultsOf(fd protoreflect.FieldDescriptor, v protoreflect.Value) []string {
	switch {
	case isDuration(fd):
		d := proto.Clone(v.Message().Interface()).(*durationpb.Duration).AsDuration()
		return []string{shortDuration(d)}
	case fd.Enum() != nil:
		return []string{string(fd.Enum().Values().ByNumber(v.Enum()).Name())}
	case fd.Kind() == protoreflect.BytesKind && len(v.Bytes()) == 0, fd.Kind() == protoreflect.StringKind && v.String() == "":
		return []string{"empty"}
	case fd.Kind() == protoreflect.Uint32Kind && v.Uint() == 0:
		return []string{"0", "none"}
	}
	return []string{v.String()}
}

// shortDuration is "10m" for what the library calls "10m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
