import Dispatch

/// Blocks each thread that passes before the gate is opened.
final class Gate: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  private let passing = Shared(0)
  /// How many threads have come to the gate.
  var count: Int { passing.value }

  func pass() {
    passing.change { $0 += 1 }
    semaphore.wait()
    semaphore.signal()
  }

  func open() { semaphore.signal() }
}
