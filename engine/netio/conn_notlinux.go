//go:build !linux

package netio

func newConn(s *socket, _ Config) (Conn, error) { return newPortable(s), nil }
