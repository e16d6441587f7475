internal import Synchronization

/// Asks one server the commands of a login, once, on a stream of its own.
final class StreamQuestion: Sendable {
  typealias Completion = @Sendable (Result<[Reply], TransportError>) -> Void

  private struct State: ~Copyable {
    var stream: CommandStream?
    var source: (any WorkSource)?
    var replies: [Reply] = []
    var completion: Completion?
  }

  private let handshake: Handshake
  private let count: Int
  private let state: Locked<State>

  /// Sends the login with the commands of its hook on a stream.
  init(
    on bytes: any ByteStream, _ handshake: Handshake, bounds: CommandStream.Bounds = .usual
  ) throws(TransportError) {
    self.handshake = handshake
    let commands = handshake.commands()
    count = commands.count
    var stream = try CommandStream(
      on: bytes, bounds: bounds, mayRepeatPassword: handshake.mayRepeatPassword)
    for command in commands { stream.append(command) }
    try stream.write()
    guard !stream.hasUnsentBytes else { throw .unreachable("it accepts no data") }
    state = Locked(State(stream: stream))
  }

  /// Awaits the replies; the completion is called once, by the deadline, unless the question is cancelled.
  func await(
    by deadline: Instant, clock: LockClock, on queue: any WorkQueue,
    completion: @escaping Completion
  ) throws(TransportError) {
    let bytes: (any ByteStream)? = state.withLock { state in
      // It may have been cancelled since.
      guard let stream = state.stream?.stream else { return nil }
      state.completion = completion
      return stream
    }
    guard let bytes else { return }
    let source: any WorkSource
    do throws(TransportError) {
      source = try queue.watch(bytes) { [weak self] in self?.receive() }
    } catch {
      _ = end()
      throw error
    }
    let isOver = state.withLock { state in
      guard state.completion != nil else { return true }
      state.source = source
      return false
    }
    if isOver { source.cancel() }
    queue.async(after: max(clock.now.duration(to: deadline), .zero)) { [weak self] in
      self?.finish(.failure(.unreachable("it did not answer in time")))
    }
  }

  /// Closes the stream, and forgets the completion.
  func cancel() { _ = end() }

  private func receive() {
    let result: Result<[Reply]?, TransportError> = state.withLock { state in
      Result { () throws(TransportError) in try read(&state) }
    }
    switch result {
    case .success(nil): break
    case .success(let replies?): finish(judge(replies))
    case .failure(let error): finish(.failure(error))
    }
  }

  /// Reads what has arrived; returns the replies once all are in.
  private func read(_ state: inout State) throws(TransportError) -> [Reply]? {
    guard state.stream != nil else { return nil }
    var mayHaveMore = true
    while mayHaveMore {
      _ = try state.stream?.read()
      while let reply = try state.stream?.nextReply() {
        state.replies.append(reply)
        // A full server sends its error unasked and hangs up.
        if reply.error?.code == .maxClients { return [reply] }
        if state.replies.count == count { return state.replies }
      }
      // Also finds the end, which not every source reports alone.
      mayHaveMore = state.stream?.isIdle == false
    }
    return nil
  }

  private func judge(_ replies: [Reply]) -> Result<[Reply], TransportError> {
    Result { () throws(TransportError) in
      try handshake.check(replies)
      return replies.map(handshake.conceal)
    }
  }

  private func finish(_ result: Result<[Reply], TransportError>) { end()?(result) }

  private func end() -> Completion? {
    state.withLock { state in
      state.source?.cancel()
      state.source = nil
      state.stream = nil
      return state.completion.take()
    }
  }
}
