package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ghodss/yaml"
	"google.golang.org/protobuf/proto"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
)

// MaxSize is the most bytes a config may have.
const MaxSize = 16 << 20

// Bootstrap is a complete and valid config. It is immutable.
type Bootstrap struct {
	// Proto is the effective config: the defaults are filled in, and the
	// options have been applied. It holds secrets; use MarshalJSON to show it.
	Proto *bootstrap.Bootstrap
	// Services are the static services in the order of the file.
	Services []*Service
}

// MarshalJSON returns the effective config with the secrets masked.
func (b *Bootstrap) MarshalJSON() ([]byte, error) {
	return maskedJSON(b.Proto)
}

// Show is MarshalJSON with services that are not in the file, as dynamic_services.
func (b *Bootstrap) Show(others []*Service) ([]byte, error) {
	own, err := b.MarshalJSON()
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(own, &all); err != nil {
		return nil, err
	}
	if all["dynamic_services"], err = json.Marshal(others); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// Options are settings from outside the file that override it. The zero value
// overrides nothing.
type Options struct {
	// InstanceID overrides instance.id when not empty.
	InstanceID string
	// Belong overrides instance.belong when not empty.
	Belong string
	// OnlyRegular has Load refuse what is no regular file. A pipe is read to its end
	// otherwise, however long that takes.
	OnlyRegular bool
}

// Load reads, decodes and validates the config file at path. The error is of
// the type [Problems].
func Load(path string) (*Bootstrap, error) { return Options{}.Load(path) }

// Parse decodes and validates a config. The name stands for the file in the
// problems. The error is of the type [Problems].
func Parse(name string, data []byte) (*Bootstrap, error) { return Options{}.Parse(name, data) }

// Load is like the function [Load] with the options applied.
func (o Options) Load(path string) (*Bootstrap, error) {
	data, err := o.read(path)
	if err != nil {
		return nil, Problems{{File: path, Msg: err.Error()}}
	}
	return o.Parse(path, data)
}

// read reads a pipe to no more than one byte above the limit, which Parse refuses.
func (o Options) read(path string) ([]byte, error) {
	if o.OnlyRegular {
		data, err := ReadRegular(path, MaxSize)
		return data, withoutPath(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	return data, withoutPath(err)
}

// withoutPath drops the path from a file error: the problem names it already.
func withoutPath(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return err
}

// Parse is like the function [Parse] with the options applied.
func (o Options) Parse(name string, data []byte) (*Bootstrap, error) {
	r := newReport(name)
	b := &bootstrap.Bootstrap{}
	if decode(r, data, b) {
		o.apply(b)
		fillBootstrap(b)
		checkBootstrap(r, b)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return &Bootstrap{Proto: b, Services: staticServices(b)}, nil
}

// apply overrides the instance.
func (o Options) apply(b *bootstrap.Bootstrap) {
	if b.Instance == nil {
		b.Instance = &common.Instance{}
	}
	if o.InstanceID != "" {
		b.Instance.Id = o.InstanceID
	}
	if o.Belong != "" {
		b.Instance.Belong = o.Belong
	}
}

// decode fills m from YAML or JSON. It returns false when the text has no
// tree that could be looked at.
func decode(r *report, data []byte, m proto.Message) bool {
	if len(data) > MaxSize {
		r.add("", "is larger than %d bytes", MaxSize)
		return false
	}
	pos, err := locate(data)
	if err != nil {
		line, msg := splitLine(err.Error())
		r.addLine("", line, "%s", msg)
		return false
	}
	tree, err := parseTree(data)
	if err != nil {
		r.add("", "%s", plainText(err))
		return false
	}
	if _, ok := tree.(map[string]any); !ok {
		r.addLine("", pos.line, "must be a mapping, is %s", describe(tree))
		return false
	}
	(&decoder{report: r}).message("", pos, tree, m.ProtoReflect())
	return true
}

// parseTree converts the text to JSON values: map[string]any, []any, string,
// bool, nil and json.Number.
func parseTree(data []byte) (any, error) {
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var tree any
	err = dec.Decode(&tree)
	return tree, err
}

// plainText is the text of an error of the YAML or JSON library on one line.
// Its error for a key of an odd type shows the value, which may be a secret.
func plainText(err error) string {
	if strings.HasPrefix(err.Error(), "Unsupported map key") { // house: the library has no type for this
		return "has a key that is not a string"
	}
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	return strings.Join(strings.Fields(strings.TrimPrefix(s, "json: ")), " ")
}
