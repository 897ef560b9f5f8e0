//go:build race

package sim

// raceDetector slows the world down thirtyfold; there is one goroutine to watch.
const raceDetector = true
