// Package dynamic is the client of the management server: it follows the streams
// of api.DiscoveryService and hands the services that they tell of to the config
// store.
//
// # What is learned, and from what
//
// StreamDependencies says which services there are, StreamSvcConfigs and
// StreamSvcEndpoints what they are. A dependency is subscribed on both. A service
// starts once it has both: a config, and endpoints, which may be none when the
// server has said so in a message that names the service.
//
// The messages do not say whether they are the whole or a change. It is taken
// like this, and works with servers that tell the whole anew on every stream:
//
//   - The first message of a dependency stream has all dependencies. What was one
//     before and is not in it is gone, all of them when it is empty. Later ones are
//     changes.
//   - The first message about a service on an endpoint stream, and the first after
//     it was subscribed again, has all its endpoints. Later ones are changes, and what
//     is removed is so before what is added.
//   - A first message that only removes cannot be the whole, so it is a change.
//   - A config replaces the one before.
//   - Until a stream has spoken, what was known before holds. So nothing ends
//     because a connection does.
//   - After a message that could not be decoded all others of that stream are taken
//     as changes: the lost one may have been the first.
//
// # Updates that are refused
//
// An update that is invalid is refused as a whole, for the service that it is about
// and no other. What that service had stays. The endpoints are followed all the same
// as the server sees them, apart from those in use; as soon as they are valid as a
// whole they are taken, so that a mistake can be mended by a change.
//
// A name that another source of the store owns is left out until [Client.Retry].
//
// # The state file
//
// What is known is kept in a file, see state.go for its form, and used at once at
// the next start: a restart does not wait for the management server. What the server
// tells then replaces it service by service.
//
// A client that takes the place of another in the same process begins with what that one
// knew, see [Client.Succeed], as the file may be older or not there.
//
// The file is that of one process. Another one that is given the same directory may read
// it, but not write it before the first has ended.
//
// # Goroutines
//
// [Client.Run] is one loop that owns what is known and calls Apply. A connection is a
// session with a goroutine for itself, one per stream that receives, one per stream
// that subscribes, and one that asks whether the server is there. They end with
// the session. The state file is written by one more.
package dynamic
