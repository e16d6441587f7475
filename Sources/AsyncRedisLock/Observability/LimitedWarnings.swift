internal import Synchronization

/// Logs warnings of each kind at most once a minute, and later the number of further ones.
final class LimitedWarnings: Sendable {
  private let clock: LockClock
  private let limit = Locked(WarningLimit())

  init(clock: LockClock) { self.clock = clock }

  /// Has a warning logged, or holds it back.
  ///
  /// - Parameters:
  ///   - kind: The kind of warning that is limited.
  ///   - say: Logs the warning; at debug level if it is held back.
  ///   - summarize: Arranges that, after a pause, the number of held-back warnings is asked for; nil if there are
  ///     none.
  /// - Returns: Whether it was logged as a warning.
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

  /// How many warnings were held back and are to be logged now; nil if none are.
  func takeSummary(of kind: WarningLimit.Kind) -> Int? {
    let count = limit.withLock { $0.takeSummary(of: kind, at: clock.now) }
    return count > 0 ? count : nil
  }
}
