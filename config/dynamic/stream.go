package dynamic

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	wire "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// stream is one of the three streams of a connection.
type stream uint8

const (
	dependencies stream = iota
	configs
	endpoints
)

func (s stream) String() string { return [...]string{"dependencies", "configs", "endpoints"}[s] }

// update is a message that came, or err when it could not be decoded.
type update struct {
	stream  stream
	message proto.Message
	err     error
}

// lenient is the codec of a connection. A message that cannot be decoded, one with
// text that is no UTF-8 for instance, ends a stream in gRPC, and would do so again on
// each new connection. Received into an *update it does not.
type lenient struct {
	encoding.CodecV2
}

func newLenient() lenient { return lenient{encoding.GetCodecV2(wire.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c lenient) Unmarshal(data mem.BufferSlice, v any) error {
	u, ok := v.(*update)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if err := c.CodecV2.Unmarshal(data, u.message); err != nil {
		u.err = fmt.Errorf("decode %s: %w", u.stream, err)
	}
	return nil
}
