internal import Synchronization

/// Opens streams to one sentinel after the other, beginning with the one that gave the last good answer.
final class SentinelWatchOpener: StreamOpener {
  typealias Sentinel = LockerConfiguration.Address.Sentinel

  private struct State {
    /// The sentinel that was connected, or is being connected.
    var current: Sentinel?
    /// The sentinels that have failed since the last move, which are tried last.
    var failed: [Sentinel] = []
    var opener: (any StreamOpener)?
    var isCancelled = false
  }

  /// Weak: the directory owns the watch.
  private weak let directory: SentinelDirectory?
  private let state = Locked(State())

  init(of directory: SentinelDirectory) { self.directory = directory }

  var current: Sentinel? { state.withLock { $0.current } }

  func open(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<any ByteStream, TransportError>) -> Void
  ) {
    guard let directory else { return completion(.failure(.closed)) }
    let order = directory.known.order
    let sentinel = state.withLock { state in
      if order.allSatisfy(state.failed.contains) { state.failed = [] }
      let next = order.first { !state.failed.contains($0) } ?? order[0]
      state.current = next
      return next
    }
    let opener = directory.machine.makeOpener(
      for: directory.configuration.leading(toSentinel: sentinel))
    let isCancelled = state.withLock { state in
      if !state.isCancelled { state.opener = opener }
      return state.isCancelled
    }
    if !isCancelled { opener.open(by: deadline, completion: completion) }
  }

  func cancel() {
    let opener = state.withLock { state in
      state.isCancelled = true
      return state.opener.take()
    }
    opener?.cancel()
  }

  /// Notes that the connection to the present sentinel has ended or could not be made: the next one is to be tried.
  func goOn() {
    state.withLock { state in
      if let current = state.current.take(), !state.failed.contains(current) {
        state.failed.append(current)
      }
    }
  }

  /// Notes that a sentinel is to be watched; returns false if it is the present one.
  func move(to sentinel: Sentinel) -> Bool {
    state.withLock { state in
      guard state.current != sentinel else { return false }
      // The present one is not tried again at once, though nothing is known against it.
      state.failed = []
      return true
    }
  }
}
