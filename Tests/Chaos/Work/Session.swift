import AsyncRedisLock
import ChaosLog
import Synchronization

/// A locker, and the holdings that end when it is closed.
final class Session: Sendable {
  private struct State {
    var isClosing = false
    var slots: Set<Int> = []
  }

  let locker: Locker
  private let log: ChaosLog
  private let state = Locked(State())

  init(_ locker: Locker, log: ChaosLog) {
    self.locker = locker
    self.log = log
  }

  /// Notes that the locks of these records are held; false if the session is just ending.
  func enter(_ slots: [Int]) -> Bool {
    state.withLock { state in
      state.slots.formUnion(slots)
      return !state.isClosing
    }
  }

  /// Notes that the locks of these records are no longer held.
  func leave(_ slots: [Int]) { state.withLock { $0.slots.subtract(slots) } }

  /// Closes the locker, which releases all held locks.
  func close() async {
    state.withLock { state in
      state.isClosing = true
      for slot in state.slots { log.setOnce(.releaseCalled, of: slot, to: LogClock.now) }
    }
    await locker.close()
  }
}

/// The session that tasks are to use now.
final class CurrentSession: Sendable {
  private let current = Locked<Session?>(nil)

  /// The session; nil before the first and after the last.
  var session: Session? { current.withLock { $0 } }

  /// Replaces the session; returns the one before.
  func replace(with next: Session?) -> Session? {
    current.withLock { current in
      let last = current
      current = next
      return last
    }
  }
}
