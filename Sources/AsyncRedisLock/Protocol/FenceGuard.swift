internal import Synchronization

/// Sees to it that the fencing tokens of a locker only ever grow, though the server may lose its
/// counter.
final class FenceGuard: Sendable {
  private struct State {
    var largest: UInt64 = 0
    /// Whether the counter was raised since the connection was made: only then is a number drawn from
    /// it known to be above those that a former server, or a former life of it, has given out.
    var isRaised = false
  }

  private let state = Mutex(State())

  /// The largest number seen, for the server to go on from.
  var largest: UInt64 { state.withLock { $0.largest } }

  /// Notes that there is a new connection, maybe to another server.
  func connectionChanged() { state.withLock { $0.isRaised = false } }

  /// Whether a number can be used as a fencing token: it is above all that were seen.
  ///
  /// To be called in the order of the replies. `isRaised` tells a number drawn by the script that
  /// raises the counter first.
  func accept(_ number: UInt64, isRaised: Bool = false) -> Bool {
    state.withLock {
      $0.isRaised = $0.isRaised || isRaised
      guard $0.isRaised, number > $0.largest else { return false }
      $0.largest = number
      return true
    }
  }
}
