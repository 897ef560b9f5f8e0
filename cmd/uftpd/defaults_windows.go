package main

// Defaults of -D and -L, as in the stock programs for Windows.
const (
	defaultDest = `C:\temp`
	defaultLog  = `C:\temp\uftpd.log`
)
