internal import Synchronization

/// Makes sure that the fencing tokens of a locker only ever grow, though the server may lose its counter.
final class FenceCounter: Sendable {
  private struct State {
    /// The largest number seen anywhere.
    var largest: UInt64 = 0
    /// The largest number among the replies on the connection.
    ///
    /// Grants come on another connection, and may be seen before a smaller number whose reply is under way.
    var largestInOrder: UInt64 = 0
    /// Whether the counter was raised since the connection was made.
    ///
    /// Only then is a drawn number known to be above those that a former server, or the counter before a loss, has
    /// given out.
    var isRaised = false
    /// Where the replies come from: in a cluster, the login on which the last one came.
    var source: UInt64 = 0

    mutating func connectionChanged() {
      isRaised = false
      largestInOrder = largest
    }
  }

  private let state = Locked(State())

  /// The largest number seen, from which the server has to go on.
  var largest: UInt64 { state.withLock { $0.largest } }

  /// Whether the counter was raised on this connection.
  var isRaised: Bool { state.withLock { $0.isRaised } }

  /// Whether the counter was raised where numbers from `source` are drawn.
  func isRaised(at source: UInt64) -> Bool {
    state.withLock { $0.isRaised && $0.source == source }
  }

  /// Notes that there is a new connection, maybe to another server.
  func connectionChanged() { state.withLock { $0.connectionChanged() } }

  /// Whether a number can be used as a fencing token: it is above all numbers in earlier replies on the
  /// connection.
  ///
  /// Call it in the order of the replies. `isRaised` tells that the number was drawn by a script that raises the
  /// counter first, and `source` where it was drawn, if there are several servers: see ``Wire/source``.
  func accept(_ number: UInt64, isRaised: Bool = false, from source: UInt64 = 0) -> Bool {
    accept(number..<number + 1, isRaised: isRaised, from: source)
  }

  /// Whether numbers that were drawn together can be used, see ``accept(_:isRaised:from:)``.
  func accept(
    _ numbers: Range<UInt64>, isRaised: Bool = false, from source: UInt64 = 0
  ) -> Bool {
    state.withLock {
      if source != $0.source {
        // The number of a server says nothing about those that another one has given out.
        $0.connectionChanged()
        $0.source = source
      }
      $0.isRaised = $0.isRaised || isRaised
      guard $0.isRaised, numbers.lowerBound > $0.largestInOrder else { return false }
      $0.largestInOrder = numbers.upperBound - 1
      $0.largest = max($0.largest, $0.largestInOrder)
      return true
    }
  }

  /// Notes a number that was granted; the waiter knows by itself that the number is above all before.
  func noteGranted(_ number: UInt64) {
    state.withLock { $0.largest = max($0.largest, number) }
  }
}
