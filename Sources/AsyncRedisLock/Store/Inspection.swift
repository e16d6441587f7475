/// Who holds a key, and who waits for it.
package struct Inspection: Sendable {
  package let state: KeyState
  package let waiterCount: Int
  /// The tokens of the first of them, in order.
  package let waiters: [String]

  package init(state: KeyState, waiterCount: Int, waiters: [String]) {
    self.state = state
    self.waiterCount = waiterCount
    self.waiters = waiters
  }
}
