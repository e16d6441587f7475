/// A key's holder and waiters.
package struct Inspection: Sendable {
  package let state: KeyState
  package let waiterCount: Int
  /// The tokens of the first waiters, in order.
  package let waiters: [String]
  /// Whether the holder waits for further keys, and gets its lock with the last of them.
  package let isReserved: Bool

  package init(
    state: KeyState, waiterCount: Int, waiters: [String], isReserved: Bool = false
  ) {
    self.isReserved = isReserved
    self.state = state
    self.waiterCount = waiterCount
    self.waiters = waiters
  }
}
