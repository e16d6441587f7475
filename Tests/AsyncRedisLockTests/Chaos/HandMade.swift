import ChaosLog

/// Hand-made histories; all times are in milliseconds.
enum HandMade {
  /// A ttl of 1500, an extension every 500, and 500 for the server to answer.
  static let limits = Limits(
    ttl: .milliseconds(1500), extend: .milliseconds(500), operationTimeout: .milliseconds(500),
    slack: .milliseconds(100), gap: .milliseconds(1000))

  /// A key that was held and properly given back.
  static func holding(
    _ fence: UInt64, invoked: Int = 1, from acquired: Int, to end: Int, key: Int = 0,
    process: Int32 = 7
  ) -> Record {
    var attempt = attempt(from: invoked, to: acquired, process: process)
    attempt.key = key
    attempt.fence = fence
    attempt.acquired = .milliseconds(acquired)
    attempt.validUntil = .milliseconds(acquired + 1500)
    attempt.lastHeld = .milliseconds(end)
    attempt.releaseCalled = .milliseconds(end)
    attempt.released = .milliseconds(end + 1)
    attempt.outcome = .released
    return attempt
  }

  /// An unsuccessful request for a key.
  static func attempt(from invoked: Int, to ended: Int, process: Int32 = 7) -> Record {
    var attempt = Record()
    attempt.process = process
    attempt.invoked = .milliseconds(invoked)
    attempt.ended = .milliseconds(ended)
    attempt.outcome = .timeout
    return attempt
  }

  /// An event on the server or in a process.
  static func episode(
    _ kind: Episode.Kind, from start: Int, to end: Int, process: Int32 = 0
  ) -> Episode {
    Episode(kind, process: process, from: .milliseconds(start), to: .milliseconds(end))
  }

  /// The findings of a checker, except those about registers.
  static func findings(_ attempts: [Record], _ episodes: [Episode] = []) -> [Finding.Kind] {
    var history = History()
    history.attempts = attempts
    history.episodes = episodes
    return Checker(history, limits).findings.map(\.kind)
  }
}
