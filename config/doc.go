// Package config reads the config file and keeps the set of services to run.
//
// # From file to Bootstrap
//
// [Load] and [Parse] turn YAML or JSON into a [Bootstrap] in these steps: the
// text becomes a generic tree; the tree is decoded into the protobuf messages
// of api/; what was left out gets its default; the whole is validated. All
// problems of all steps are collected and returned at once as [Problems], each
// with the path of its field and, where known, its line. There is no partial
// result: a Bootstrap is complete and valid.
// [ParseService] does the same for one service in a file of its own.
//
// Field names are those of the .proto files, in snake_case or lowerCamelCase.
// Enum values are names, as written in the .proto files, or numbers. Durations
// are strings: "3s", "100ms", "1m30s". Whole numbers may be quoted, strings
// may not be unquoted numbers. Bytes are base64. A null is the same as nothing,
// except for messages that have no fields (tcp_checker and the like), which it
// selects. Unknown fields and duplicate keys are errors.
//
// Files of the original Samaritan load unchanged. Where they may be odd but
// harmless, they are accepted: a Redis service with any lb_policy (it is not
// used), a health check without a checker (tcp_checker), zero thresholds (the
// default), an endpoint given twice in the same way (used once), a log target
// without SYSLOG (not used), any threshold of compression that is off (not
// used), no services at all. What could not have worked, or would do harm, is
// an error.
//
// # From Bootstrap to events
//
// A [Store] takes the services of several sources (the file, the management
// server), each as a whole, and tells one consumer what changed as a sequence
// of typed events. See its comment for what is promised.
//
// Everything that is handed out here is immutable: neither this package nor
// anyone else changes a message or a [Service] after it was published.
//
// The only goroutine is the one that calls [Store.Run]. The package opens no
// socket, logs nothing, and does not watch the file.
package config
