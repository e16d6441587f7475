internal import Synchronization

/// The calls under way that take a lock or give one back; closing waits for them.
final class OpenCalls: Sendable {
  private struct State {
    var closing = ClosingState.open(calls: 0)
    /// Promises to keep once no call is under way.
    var idle: [Promise<Void>] = []
  }

  private let state = Locked(State())

  /// Whether new locks may be taken.
  var isOpen: Bool { state.withLock { $0.closing.phase == .open } }

  /// Begins a call in a phase of closing or before; returns false if the phase is over.
  func begin(until lastPhase: ClosePhase) -> Bool {
    state.withLock { $0.closing.begin(until: lastPhase) }
  }

  func end() {
    let idle: [Promise<Void>]? = state.withLock { state in
      guard state.closing.end(), !state.idle.isEmpty else { return nil }
      defer { state.idle = [] }
      return state.idle
    }
    for promise in idle ?? [] { promise.fulfil(()) }
  }

  /// Begins a phase of closing.
  func close(_ phase: ClosePhase) { state.withLock { $0.closing.close(phase) } }

  /// Waits until no call is under way.
  func waitUntilIdle(countedBy activity: (any ActivityCounter)?) async {
    let promise = Promise<Void>()
    let isIdle = state.withLock { state in
      if !state.closing.isIdle { state.idle.append(promise) }
      return state.closing.isIdle
    }
    if !isIdle { await promise.value(countedBy: activity) }
  }
}
