package main

// ansi: consoles take ANSI sequences only after a mode was set, which nothing here does.
const ansi = false
