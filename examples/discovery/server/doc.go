// Package server is a small management server: it tells sidecars over the
// streams of api.DiscoveryService which services they have to run, and tells
// them again whatever changes.
//
// # Contents
//
// A [Server] holds services and dependencies. They are set one by one
// ([Server.Set], [Server.Remove], [Server.Depend]) or all at once
// ([Server.Replace]), before and while it serves. They are not checked here: who
// wants to know what a sidecar does with a bad config can send it one. Package
// directory reads them from files, checked.
//
// # What a stream is told
//
// StreamDependencies: first all services of the instance's belong, also when
// there are none; then what is added and removed. A service is told of only when
// it is listed and exists.
//
// StreamSvcConfigs: the config of each service that is subscribed to, at once
// when it is known, otherwise as soon as it is; then each new one.
//
// StreamSvcEndpoints: likewise. The first message of a service has all endpoints
// as added, also when there are none. Later ones have the difference. An endpoint
// whose state or type changed is in removed, as it was, and in added, as it is.
//
// A service that is removed leaves the dependencies. Who is subscribed to it is
// told nothing: a service must not lose its endpoints before its clients are
// gone, and the sidecar unsubscribes by itself. When the service comes back the
// subscribers get the difference to what they were told last.
//
// To subscribe twice is the same as once. To unsubscribe, and to subscribe again,
// begins anew with everything. A name in both lists of a request is unsubscribed
// first.
//
// # Many streams, slow streams
//
// Each stream has a goroutine that sends, and a set of the names that it has to
// look at. A change puts names into the sets of those streams that it concerns and
// waits for nobody. What is sent is made when it is sent, as the difference of
// what is and what the stream was told. So a client that does not read costs one
// name per service, holds up no other, and gets the last state when it reads on.
// A change costs as much as there are streams subscribed to what changed.
//
// Streams that receive have a second goroutine for that. It ends after the one
// that sends, with the stream.
package server
