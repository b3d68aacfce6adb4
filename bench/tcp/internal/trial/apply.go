package trial

import (
	"context"
	"fmt"
	"time"

	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/api/service"
	"samaritan/bench/internal/child"
	"samaritan/bench/internal/samaritan"
	"samaritan/bench/tcp/internal/load"
	"samaritan/bench/tcp/internal/source"
)

// limitApply is how long a daemon may take to serve all services of its source.
const limitApply = time.Second

// takeUp is how long it gets until that counts as never.
const takeUp = 30 * time.Second

// Apply is how long a running daemon takes from when the source first tells it of services, in seconds, in each round.
type Apply struct {
	Services, Endpoints int
	Listening           []float64 // until all of them listen
	CPU                 []float64 // of its process, until then
	Visited             []float64 // until a client has been answered by each of them, one after the other
}

func (b *bench) apply(ctx context.Context) (*Apply, error) {
	a := &Apply{Services: b.Services, Endpoints: b.Endpoints}
	for range b.Applies {
		if err := b.applyOnce(ctx, a); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (b *bench) applyOnce(ctx context.Context, to *Apply) error {
	d, err := b.dynamic(ctx, b.Services)
	if err != nil {
		return err
	}
	defer d.close()
	to.Listening = append(to.Listening, d.took.Seconds())
	to.CPU = append(to.CPU, d.cpu.Seconds())
	for _, addr := range d.addrs {
		if err := visit(ctx, addr); err != nil {
			return fmt.Errorf("service at %s: %w", addr, err)
		}
	}
	to.Visited = append(to.Visited, time.Since(d.told).Seconds())
	return nil
}

// visit asks a service once.
func visit(ctx context.Context, addr string) error {
	l, err := load.Open(ctx, addr, load.Options{Kind: load.PingPong, Connections: 1})
	if err != nil {
		return err
	}
	l.Close()
	return nil
}

// dynamic is a daemon with services from a source.
type dynamic struct {
	daemon   *samaritan.Daemon
	source   *source.Source
	services []*source.Service
	port     int      // of the services
	addrs    []string // of the services
	told     time.Time
	took     time.Duration // from then until all listen
	cpu      time.Duration // that it took until then
}

func (d *dynamic) close() {
	if d.daemon != nil {
		d.daemon.Kill()
	}
	d.source.Close()
}

// dynamic starts a daemon, then gives it services, and returns when all of them listen.
func (b *bench) dynamic(ctx context.Context, services int) (_ *dynamic, err error) {
	ctx, cancel := context.WithTimeout(ctx, takeUp)
	defer cancel()
	d := new(dynamic)
	if d.source, err = source.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.daemon, err = b.stand.Dynamic(ctx, d.source.Addr()); err != nil {
		return nil, err
	}
	if d.port, _, err = child.FreePorts(); err != nil {
		return nil, err
	}
	for i := range services {
		d.services = append(d.services, b.service(i, d.port))
		d.addrs = append(d.addrs, fmt.Sprintf("%s:%d", serviceIP(i), d.port))
	}
	return d, d.publish(ctx)
}

// publish gives the daemon its services.
func (d *dynamic) publish(ctx context.Context) error {
	before, err := d.daemon.CPU()
	if err != nil {
		return err
	}
	if d.told, err = d.source.Publish(ctx, d.services); err != nil {
		return fmt.Errorf("the daemon does not ask its source: %w", err)
	}
	if err := d.daemon.Await(ctx, d.listen); err != nil {
		return err
	}
	d.took = time.Since(d.told)
	after, err := d.daemon.CPU()
	d.cpu = after - before
	return err
}

// listen checks that all services listen.
func (d *dynamic) listen(context.Context) error {
	n, err := child.Listeners(d.port)
	if err == nil && n < len(d.addrs) {
		err = fmt.Errorf("%d of %d services listen", n, len(d.addrs))
	}
	return err
}

// service is number i. All have the same port, each at an address of its own.
func (b *bench) service(i, port int) *source.Service {
	s := &source.Service{
		Name: fmt.Sprintf("service-%04d", i),
		Config: &service.Config{
			Listener: &service.Listener{Address: &common.Address{Ip: serviceIP(i), Port: uint32(port)}},
			Protocol: protocol.Protocol_TCP,
		},
	}
	for e := range b.Endpoints {
		s.Endpoints = append(s.Endpoints, b.endpoint(e))
	}
	return s
}

// endpoint is one of the addresses of the server.
func (b *bench) endpoint(e int) *service.Endpoint {
	ip, port := b.stand.ServerAddress(e)
	return &service.Endpoint{Address: &common.Address{Ip: ip, Port: uint32(port)}}
}

// serviceIP is 127.1.0.1 and the following.
func serviceIP(i int) string { return fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250) }
