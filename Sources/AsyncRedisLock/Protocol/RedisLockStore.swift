/// Locks as keys of one Redis or Valkey server.
final class RedisLockStore: LockStore {
  let connection: Connection
  let fences: FenceGuard
  private let tokens: TokenSource
  let fenceKey: String?

  init(_ configuration: LockerConfiguration) throws(StoreFailure) {
    let fences = FenceGuard()
    let fenceKey = configuration.isFencingEnabled ? configuration.keyPrefix + "fence" : nil
    let greeting = fenceKey.map { key in
      Login.Greeting(
        commands: {
          fences.connectionChanged()
          return [Self.raiseCommand(key, above: fences.largest).bySource]
        },
        // When the server cannot raise the counter now, the first lock has to do it.
        received: { replies in
          if let number = replies.first?.fencingToken { _ = fences.accept(number, isRaised: true) }
        })
    }
    do {
      connection = try Connection(configuration, greeting: greeting)
    } catch {
      throw StoreFailure(error)
    }
    self.fences = fences
    self.fenceKey = fenceKey
    tokens = TokenSource(label: configuration.label, notifiesWaiters: false)
  }

  deinit { connection.close() }

  var roundTrip: Duration { connection.roundTrip }

  func makeToken() -> String { tokens.next() }

  func connect(by deadline: Instant) async throws(StoreFailure) {
    try await perform([], by: deadline) { _ in .success(()) }.get()
  }

  func stop() { connection.stop() }

  func close() { connection.close() }

  /// Sends commands and waits for what `read` makes of the replies.
  ///
  /// It reads on the connection's queue and in the order of the replies. Cancelling the task gives the
  /// request up. With `claim`, everything but a success of `read` takes the claim back.
  func perform<Value: Sendable>(
    _ commands: [Command], by deadline: Instant, undoing claim: Claim? = nil,
    read: @escaping @Sendable (Request.Answer) -> Result<Value, StoreFailure>
  ) async -> Result<Value, StoreFailure> {
    let promise = Promise<Result<Value, StoreFailure>>()
    var undo: (@Sendable () -> Request)?
    if let claim { undo = { [self] in cleanUp(claim) } }
    let request = Request(commands, deadline: deadline, undo: undo) { [undo, connection] result in
      switch result {
      case .failure(let failure): promise.fulfil(.failure(StoreFailure(failure.cause)))
      case .success(let answer):
        let value = read(answer)
        if case .failure(.unintelligible) = value { connection.distrust() }
        // A server that could not do the first command just then has done nothing. A script that failed
        // for good may have come half-way.
        let hasDoneNothing = answer.replies.first?.error.map { $0.remedy != .fail } ?? false
        if case .failure = value, let undo, !hasDoneNothing { connection.submit(undo()) }
        promise.fulfil(value)
      }
    }
    return await withTaskCancellationHandler {
      connection.submit(request)
      return await promise.value
    } onCancel: {
      connection.abandon(request)
    }
  }
}
