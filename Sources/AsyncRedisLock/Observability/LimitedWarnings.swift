internal import Synchronization

/// Says warnings of each kind at most once a minute, and then how many more there were.
final class LimitedWarnings: Sendable {
  private let clock: LockClock
  private let limit = Locked(WarningLimit())

  init(clock: LockClock) { self.clock = clock }

  /// Has a warning said, or held back.
  ///
  /// - Parameters:
  ///   - kind: What is limited.
  ///   - say: Says the warning, or only for debugging if it is held back.
  ///   - summarize: Arranges that something asks, after a pause, how many have been held back; nil if none have.
  /// - Returns: Whether it was said as a warning.
  @discardableResult
  func warn(
    _ kind: WarningLimit.Kind, say: (_ isSaid: Bool) -> Void,
    summarize: (Duration, @escaping @Sendable () -> Int?) -> Void
  ) -> Bool {
    switch limit.withLock({ $0.admit(kind, at: clock.now) }) {
    case .say:
      say(true)
      return true
    case .count(let pause):
      say(false)
      if let pause {
        summarize(pause) { [self] in takeSummary(of: kind) }
      }
      return false
    }
  }

  /// How many warnings were held back and are to be said now; nil if none are.
  func takeSummary(of kind: WarningLimit.Kind) -> Int? {
    let count = limit.withLock { $0.takeSummary(of: kind, at: clock.now) }
    return count > 0 ? count : nil
  }
}
