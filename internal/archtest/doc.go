// Package archtest holds the module to its architecture. It has no code of its
// own: its tests read the source tree and fail when
//
//   - a package imports a package of ours that its layer may not know,
//   - a package has no doc comment,
//   - a library that only tests, benchmarks or the demo need would be linked
//     into the production binary, or
//   - a module that go.mod requires directly is not explained in
//     docs/dependencies.md.
//
// The layers are a table in graph_test.go. A new package needs a line there:
// writing it is the moment to think about where the package belongs.
package archtest
