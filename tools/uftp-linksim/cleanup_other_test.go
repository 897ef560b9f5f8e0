//go:build !linux

package main

func cleanBuild() {}
