// Package version holds the version of the programs, set when they are linked.
package version

// Version is in the output of --version and in the first line of logs.
var Version = "development"
