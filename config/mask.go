package config

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maskText stands for a secret.
const maskText = "***"

// isSecret tells which fields are never shown. What an ATCP check sends may be
// a login.
func isSecret(fd protoreflect.FieldDescriptor) bool {
	switch fd.FullName() {
	case "hc.RedisChecker.password", "hc.ATCPChecker.Action.send", "bootstrap.ConfigSource.token":
		return true
	}
	return false
}

// Masked returns a copy of any message of api/ in which each secret that is
// set reads "***".
func Masked[M proto.Message](m M) M {
	c := proto.Clone(m)
	mask(c.ProtoReflect())
	return c.(M)
}

func mask(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isSecret(fd) && fd.Kind() == protoreflect.BytesKind:
			m.Set(fd, protoreflect.ValueOfBytes([]byte(maskText)))
		case isSecret(fd):
			m.Set(fd, protoreflect.ValueOfString(maskText))
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				mask(v.Message())
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				mask(v.List().Get(i).Message())
			}
		case fd.Message() != nil && !fd.IsMap():
			mask(v.Message())
		}
		return true
	})
}

// maskedJSON is the masked message in the form of a config file: all fields
// that have a value or a default, named as in the .proto files. The same
// message always gives the same bytes.
func maskedJSON(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(Masked(m))
	if err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	return b.Bytes(), nil
}
