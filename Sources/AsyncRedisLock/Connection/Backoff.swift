/// Decides how long to wait before the next attempt to connect.
///
/// There is no pause after a connection that worked. Then pauses double from 10 ms to 250 ms or 1 s; each is a
/// random share between half and all of that.
struct Backoff: Sendable {
  private static let shortest = Duration.milliseconds(10)
  /// Doublings until the longest pause: 10 ms × 2^7 is over a second.
  private static let mostDoublings = 7
  private static let longest = Duration.seconds(1)
  /// The longest pause while something waits for the connection.
  private static let longestWait = Duration.milliseconds(250)

  private var failures = 0

  /// Notes that a connection worked, so that the next attempt needs no pause.
  ///
  /// It must have lasted: a server that hangs up behind each login would be asked dozens of times a second.
  mutating func reset() { failures = 0 }

  /// Notes that a connection failed; returns the pause before the next attempt, shorter if a request waits for it.
  mutating func pause(
    isWaitedFor: Bool = false, using generator: inout some RandomNumberGenerator
  ) -> Duration {
    defer { failures = min(failures + 1, Self.mostDoublings + 1) }
    guard failures > 0 else { return .zero }
    let longest = isWaitedFor ? Self.longestWait : Self.longest
    let full = min(Self.shortest * (1 << (failures - 1)), longest)
    return full * Double.random(in: 0.5...1, using: &generator)
  }
}
