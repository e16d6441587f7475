internal import DequeModule

/// Lets some calls in at a time, in the order in which they came.
package final class FairGate: Sendable {
  /// One call that waits, or has waited, to be let in.
  final class Turn: Sendable {
    /// Fired when the call is let in; others may fire it, too.
    let signal = Signal()

    fileprivate init() {}
  }

  private struct State {
    var freeCount: Int
    /// The calls that wait, and some that have given up.
    var waiting: Deque<Turn> = []
    /// Those of them that have not given up.
    var wanted: Set<ObjectIdentifier> = []
  }

  private let state: Locked<State>

  /// Creates a gate for at most so many calls at a time.
  package init(_ capacity: Int) { state = Locked(State(freeCount: capacity)) }

  /// Lets a call in; otherwise returns its turn to wait for.
  func enter() -> Turn? {
    state.withLock { state in
      guard state.freeCount == 0 else {
        state.freeCount -= 1
        return nil
      }
      let turn = Turn()
      state.waiting.append(turn)
      state.wanted.insert(ObjectIdentifier(turn))
      return turn
    }
  }

  /// Ends the wait of a call; returns whether it was let in.
  func endWait(_ turn: Turn) -> Bool {
    state.withLock { $0.wanted.remove(ObjectIdentifier(turn)) == nil }
  }

  /// Notes that a call which was let in is done, and lets the next one in.
  func leave() {
    let next = state.withLock { state -> Turn? in
      while let turn = state.waiting.popFirst() {
        if state.wanted.remove(ObjectIdentifier(turn)) != nil { return turn }
      }
      state.freeCount += 1
      return nil
    }
    next?.signal.fire()
  }
}
