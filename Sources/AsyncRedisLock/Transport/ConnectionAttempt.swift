internal import Dispatch
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A `connect(2)` under way, watched by a Dispatch source.
final class ConnectionAttempt: SocketOpener.Attempt {
  enum Outcome: Sendable {
    case connected(SocketStream)
    case failed(SystemError)
    /// The peer has not answered in time.
    case timedOut
  }

  private struct State: ~Copyable {
    var socket: FileDescriptor?
    var source: (any DispatchSourceProtocol)?
    var completion: (@Sendable (Outcome) -> Void)?
  }

  private let state: Locked<State>

  /// Takes over a socket that is being connected.
  init(on socket: consuming FileDescriptor) { state = Locked(State(socket: socket)) }

  /// Calls the completion, once, when the outcome of the attempt is known.
  ///
  /// - Throws: `unreachable` if the system lacks the resources to watch it.
  func wait(
    until deadline: Instant, on queue: DispatchQueue,
    completion: @escaping @Sendable (Outcome) -> Void
  ) throws(TransportError) {
    let result: Result<Void, TransportError> = state.withLock { state in
      Result { () throws(TransportError) in
        // It may have been cancelled since.
        guard state.socket != nil else { return }
        state.source = try DispatchSource.watching(
          state.socket?.number ?? -1, for: .writing, on: queue
        ) { [self] in finish(isTimeUp: false) }
        state.completion = completion
      }
    }
    try result.get()
    let patience = max(Instant.now.duration(to: deadline), .zero)
    queue.asyncAfter(deadline: .now() + .nanoseconds(Int(patience.wholeNanoseconds))) { [self] in
      finish(isTimeUp: true)
    }
  }

  func cancel() {
    state.withLock { state in
      state.source?.cancel()
      state.source = nil
      state.completion = nil
      state.socket = nil
    }
  }

  private func finish(isTimeUp: Bool) {
    let (completion, outcome): ((@Sendable (Outcome) -> Void)?, Outcome) = state.withLock { state in
      guard let socket = state.socket.take() else { return (nil, .timedOut) }
      state.source?.cancel()
      // Its handler refers to this object.
      state.source = nil
      let completion = state.completion.take()
      guard !isTimeUp else { return (completion, .timedOut) }
      var code: CInt = 0
      var size = socklen_t(MemoryLayout<CInt>.size)
      unsafe getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &code, &size)
      guard code == 0 else { return (completion, .failed(SystemError(rawValue: code))) }
      return (completion, .connected(SocketStream(adopting: socket)))
    }
    completion?(outcome)
  }
}
