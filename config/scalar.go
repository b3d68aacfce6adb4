package config

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	durationName = "google.protobuf.Duration"

	checkerName = "hc.HealthCheck.checker"

	portName         = "common.Address.port"
	levelName        = "redis.Compression.level"
	compressSizeName = "redis.Compression.max_size"
	ratioName        = "redis.Compression.max_ratio"
	hotCapacityName  = "redis.HotKeys.capacity"
	hotLogTopName    = "redis.HotKeys.log_top"
)

func isDuration(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && fd.Message().FullName() == durationName
}

// scalar converts one value. It reports and returns false when v does not fit.
func (d *decoder) scalar(path string, v any, fd protoreflect.FieldDescriptor) (value protoreflect.Value, ok bool) {
	var want string
	switch {
	case isDuration(fd):
		value, want = toDuration(v)
	case fd.Enum() != nil:
		value, want = toEnum(v, fd.Enum())
	case fd.Kind() == protoreflect.StringKind:
		value, want = toString(v)
	case fd.Kind() == protoreflect.BytesKind:
		value, want = toBytes(v)
	case fd.Kind() == protoreflect.BoolKind:
		value, want = toBool(v)
	case fd.Kind() == protoreflect.Uint32Kind:
		value, want = toUint32(v, maxNumber(fd))
	default:
		want = "of a type that a file can hold"
	}
	if want == "" {
		return value, true
	}
	is := describe(v)
	if isSecret(fd) {
		is = describeKind(v)
	}
	d.add(path, "must be %s, is %s", want, is)
	return value, false
}

// maxNumber is the most that a number in a file may be.
func maxNumber(fd protoreflect.FieldDescriptor) uint32 {
	switch fd.FullName() {
	case portName:
		return math.MaxUint16
	case levelName:
		return maxLevel
	case compressSizeName:
		return maxCompressSize
	case ratioName:
		return maxRatio
	case hotCapacityName:
		return maxHotCapacity
	case hotLogTopName:
		return maxHotLogTop
	}
	return math.MaxUint32
}

// The functions below return what v should have been, "" when it is fine.

// toDuration takes Go's duration strings. They include the JSON form of
// protobuf: seconds with a fraction and the unit s.
func toDuration(v any) (protoreflect.Value, string) {
	if s, ok := v.(string); ok {
		if d, err := time.ParseDuration(s); err == nil {
			return protoreflect.ValueOfMessage(durationpb.New(d).ProtoReflect()), ""
		}
	}
	return protoreflect.Value{}, `a duration such as "3s", "100ms" or "1m30s"`
}

func toEnum(v any, ed protoreflect.EnumDescriptor) (protoreflect.Value, string) {
	var found protoreflect.EnumValueDescriptor
	switch v := v.(type) {
	case string:
		found = ed.Values().ByName(protoreflect.Name(v))
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 32); err == nil {
			found = ed.Values().ByNumber(protoreflect.EnumNumber(n))
		}
	}
	if found == nil {
		return protoreflect.Value{}, "one of " + strings.Join(enumNames(ed), ", ")
	}
	return protoreflect.ValueOfEnum(found.Number()), ""
}

// enumNames lists the values a user can choose: not the placeholder for none.
func enumNames(ed protoreflect.EnumDescriptor) []string {
	var names []string
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); v.Number() != 0 || v.Name() != "UNKNOWN" {
			names = append(names, string(v.Name()))
		}
	}
	return names
}

func toString(v any) (protoreflect.Value, string) {
	switch v := v.(type) {
	case string:
		return protoreflect.ValueOfString(v), ""
	case json.Number, bool:
		return protoreflect.Value{}, "a string (put it in quotes)"
	}
	return protoreflect.Value{}, "a string"
}

// toBytes takes base64 in both alphabets, with or without padding, as protojson.
func toBytes(v any) (protoreflect.Value, string) {
	if s, ok := v.(string); ok {
		s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
		if b, err := base64.RawStdEncoding.DecodeString(s); err == nil {
			return protoreflect.ValueOfBytes(b), ""
		}
	}
	return protoreflect.Value{}, "bytes in base64"
}

func toBool(v any) (protoreflect.Value, string) {
	if b, ok := v.(bool); ok {
		return protoreflect.ValueOfBool(b), ""
	}
	return protoreflect.Value{}, "true or false"
}

// toUint32 takes numbers, also quoted and such as 6379.0, as protojson.
func toUint32(v any, limit uint32) (protoreflect.Value, string) {
	want := "0.." + strconv.FormatUint(uint64(limit), 10)
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	default:
		return protoreflect.Value{}, want
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > float64(limit) || f != math.Trunc(f) {
		return protoreflect.Value{}, want
	}
	return protoreflect.ValueOfUint32(uint32(f)), ""
}

// describe shows a value in a problem.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(clip(v))
	case json.Number:
		return clip(v.String())
	case bool:
		return strconv.FormatBool(v)
	}
	return describeKind(v)
}

// describeKind shows what kind of value it is, and nothing of the value.
func describeKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	}
	return "a mapping"
}
