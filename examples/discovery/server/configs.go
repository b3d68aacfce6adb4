package server

import (
	"log/slog"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"samaritan/api"
	"samaritan/api/service"
)

// maxBatch is from how many bytes on configs go in another message. A client takes
// 4 MiB by default.
const maxBatch = 1 << 20

// StreamSvcConfigs implements api.DiscoveryServiceServer.
func (s *Server) StreamSvcConfigs(st api.DiscoveryService_StreamSvcConfigsServer) error {
	return s.follow(st.Context(), stream{
		name:    "configs",
		open:    &s.configs,
		known:   func(e *entry) bool { return e.config != nil },
		receive: func() (request, error) { return st.Recv() },
		send: func(f *follower, names []string, log *slog.Logger) error {
			return f.sendConfigs(st, names, log)
		},
	})
}

// sendConfigs sends the configs that are new, many in a message.
func (f *follower) sendConfigs(st api.DiscoveryService_StreamSvcConfigsServer, names []string, log *slog.Logger) error {
	batch, size := map[string]*service.Config{}, 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := st.Send(&api.SvcConfigDiscoveryResponse{Updated: batch}); err != nil {
			return err
		}
		f.s.sent.Add(1)
		log.Info("sent configs", "services", brief(slices.Sorted(maps.Keys(batch))))
		batch, size = map[string]*service.Config{}, 0
		return nil
	}
	for _, name := range names {
		c := f.newConfig(name)
		if c == nil {
			continue
		}
		batch[name] = c
		if size += len(name) + proto.Size(c); size >= maxBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// newConfig returns the config to send, nil for none.
func (f *follower) newConfig(name string) *service.Config {
	next := f.s.contents.service(name)
	told, ok := f.advance(name, next)
	if !ok || told != nil && proto.Equal(told.config, next.config) {
		return nil
	}
	return next.config
}
