/// Tells requests that come one by one from requests that come in crowds.
///
/// One by one, they are served fastest on their callers' own threads. A crowd is served fastest by the queue,
/// which gathers it. A caller that serves itself does not see which other tasks wait for its thread; so now and
/// then the queue has to look.
struct CallerRunsPolicy {
  /// After this many in a row without company, the next one counts as lonely.
  private static let proof = 8
  /// After this many callers have served themselves, the queue serves one.
  private static let longestRun = 32
  /// The most requests that the queue serves after the server was too slow for a caller.
  private static let longestPenalty = 256

  private var lonely = 0
  private var run = 0
  private var penalty = 1

  /// Whether requests come one by one.
  var isLonely: Bool { lonely >= Self.proof }

  /// Whether the next request may be served on its caller's thread.
  mutating func allowsCallerRun() -> Bool {
    guard isLonely else { return false }
    run += 1
    guard run <= Self.longestRun else {
      run = 0
      return false
    }
    return true
  }

  /// Notes that requests were sent, and whether others were in flight.
  mutating func sent(_ count: Int, toBusyServer isBusy: Bool) {
    lonely = count > 1 || isBusy ? min(lonely, 0) : min(lonely + 1, Self.proof)
  }

  /// Notes that a caller was served in its own run.
  mutating func wasQuick() { penalty = 1 }

  /// Notes that a caller has waited in vain; the more often in a row, the longer no caller tries again.
  mutating func wasTooSlow() {
    lonely = Self.proof - penalty
    penalty = min(penalty * 2, Self.longestPenalty)
  }
}
