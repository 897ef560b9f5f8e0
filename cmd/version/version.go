// Package version holds the version of the programs, set when they are linked.
package version

// Version is what --version and the first line of the logs say.
var Version = "development"
