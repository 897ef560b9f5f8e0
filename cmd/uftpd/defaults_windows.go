package main

// Where files and the log go unless the command line says otherwise: where the stock
// programs for Windows put them.
const (
	defaultDest = `C:\temp`
	defaultLog  = `C:\temp\uftpd.log`
)
