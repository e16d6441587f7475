import ChaosLog

/// Stands in for the system's random numbers, of which the library draws tokens and pauses: with a seed, a run is the
/// same each time.
@_cdecl("swift_stdlib_random")
func drawRandomBytes(_ buffer: UnsafeMutableRawPointer, _ count: Int) {
  let bytes = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: count)
  var system = SplitMix(seed: 1)
  for index in 0..<count {
    let byte = unsafe Scheduler.current?.generator.next() ?? system.next()
    unsafe bytes[index] = UInt8(truncatingIfNeeded: byte >> 32)
  }
}
