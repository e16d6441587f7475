/// Locks as keys of one Redis or Valkey server.
final class RedisLockStore: LockStore {
  private let connection: Connection
  private let fences: FenceGuard
  private let tokens: TokenSource
  private let fenceKey: String?

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
}

// MARK: Taking

extension RedisLockStore {
  func acquire(_ claim: Claim, by deadline: Instant) async throws(StoreFailure) -> Acquisition {
    guard claim.keys.count == 1 else { return try await poll(claim, by: deadline) }
    let key = claim.keys[0]
    var commands = [
      Command("SET", key, claim.token, "NX", "PX", String(claim.ttl.wholeMilliseconds))
    ]
    if let fenceKey {
      commands.append(Command("INCR", fenceKey))
      // Not GET: a foreign value can be of any length.
      commands.append(Command("GETRANGE", key, "0", String(LockToken.maximumLength - 1)))
    }
    return try await take(claim, with: commands, by: deadline) { [fences] answer in
      Self.readPipeline(answer, token: claim.token, fences: fences)
    }
  }

  func poll(_ claim: Claim, by deadline: Instant) async throws(StoreFailure) -> Acquisition {
    let command = Script.acquire.command(
      keys: claim.keys + [fenceKey].compactMap { $0 },
      arguments: [
        claim.token, String(claim.ttl.wholeMilliseconds), String(claim.keys.count),
      ])
    return try await take(claim, with: [command], by: deadline) { [fences] answer in
      Self.readScript(answer, fences: fences)
    }
  }

  /// What the replies to a claim say.
  private enum Taking: Sendable {
    case done(Acquisition)
    /// The keys are ours, but the number drawn cannot be used.
    case needsNumber(sentAt: Instant)
  }

  private func take(
    _ claim: Claim, with commands: [Command], by deadline: Instant,
    read: @escaping @Sendable (Request.Answer) -> Result<Taking, StoreFailure>
  ) async throws(StoreFailure) -> Acquisition {
    let taking = try await perform(commands, by: deadline, undoing: claim, read: read).get()
    switch taking {
    case .done(let acquisition): return acquisition
    case .needsNumber(let sentAt):
      do throws(StoreFailure) {
        let acquisition = try await drawNumber(claim, sentAt: sentAt, by: deadline)
        if case .contended = acquisition { connection.submit(cleanUp(claim)) }
        return acquisition
      } catch {
        connection.submit(cleanUp(claim))
        throw error
      }
    }
  }

  /// Reads the replies to `SET NX`, `INCR` and `GETRANGE`.
  ///
  /// The lock counts only when the key still holds the token after the number was drawn: the server may
  /// do something else between two commands of a pipeline, and a holder whose key was deleted there
  /// would outrank the next one.
  private static func readPipeline(
    _ answer: Request.Answer, token: String, fences: FenceGuard
  ) -> Result<Taking, StoreFailure> {
    let replies = answer.replies
    switch replies[0] {
    case .null:
      guard replies.count > 1 else { return .success(.done(.contended(.init()))) }
      switch replies[2] {
      case .string(let value): return .success(.done(.contended(.init(value))))
      case .error(let error): return .failure(StoreFailure(error))
      default: return .failure(.unexpected(replies[2]))
      }
    case .status("OK"):
      guard replies.count > 1 else {
        return .success(.done(.held(sentAt: answer.sentAt, fencingToken: nil)))
      }
      for reply in replies { if let error = reply.error { return .failure(StoreFailure(error)) } }
      guard let number = replies[1].fencingToken else { return .failure(.unexpected(replies[1])) }
      guard case .string(let value) = replies[2] else { return .failure(.unexpected(replies[2])) }
      guard value == token else { return .success(.done(.contended(.init(value)))) }
      guard fences.accept(number) else { return .success(.needsNumber(sentAt: answer.sentAt)) }
      return .success(.done(.held(sentAt: answer.sentAt, fencingToken: number)))
    case .error(let error):
      return .failure(StoreFailure(error))
    default:
      return .failure(.unexpected(replies[0]))
    }
  }

  private static func readScript(
    _ answer: Request.Answer, fences: FenceGuard
  ) -> Result<Taking, StoreFailure> {
    switch answer.replies[0] {
    case .array(let fields) where fields.count == 2 && fields[0] == .integer(1):
      if fields[1] == .string("") {
        return .success(.done(.held(sentAt: answer.sentAt, fencingToken: nil)))
      }
      guard let number = fields[1].fencingToken else { return .failure(.unexpected(fields[1])) }
      guard fences.accept(number) else { return .success(.needsNumber(sentAt: answer.sentAt)) }
      return .success(.done(.held(sentAt: answer.sentAt, fencingToken: number)))
    case .array(let fields) where fields.count == 3 && fields[0] == .integer(0):
      guard let state = KeyState(fields[1...]) else { return .failure(.unexpected(fields[1])) }
      return .success(.done(.contended(state)))
    case .error(let error): return .failure(StoreFailure(error))
    case let reply: return .failure(.unexpected(reply))
    }
  }

  /// Raises the fence counter and draws a number for keys that are ours already; when there is none, the
  /// keys are still ours.
  private func drawNumber(
    _ claim: Claim, sentAt: Instant, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    guard let fenceKey else { return .held(sentAt: sentAt, fencingToken: nil) }
    let command = Self.raiseCommand(
      fenceKey, above: fences.largest, keys: claim.keys, token: claim.token)
    let result: Result<Acquisition?, StoreFailure> = await perform([command], by: deadline) {
      [fences] answer in
      switch answer.replies[0] {
      case .null: return .success(.contended(.init()))
      case .error(let error): return .failure(StoreFailure(error))
      case let reply:
        guard let number = reply.fencingToken else { return .failure(.unexpected(reply)) }
        guard fences.accept(number, isRaised: true) else { return .success(nil) }
        return .success(.held(sentAt: sentAt, fencingToken: number))
      }
    }
    // The counter was lost again between the two: once more, until the deadline.
    if let acquisition = try result.get() { return acquisition }
    return try await drawNumber(claim, sentAt: sentAt, by: deadline)
  }

  private static func raiseCommand(
    _ fenceKey: String, above largest: UInt64, keys: [String] = [], token: String = ""
  ) -> Command {
    Script.fence.command(keys: [fenceKey] + keys, arguments: [String(largest), token])
  }
}

// MARK: Keeping and giving back

extension RedisLockStore {
  func extend(_ extensions: [Extension]) {
    let requests = extensions.map { one in
      let command = Script.extend.command(
        keys: one.claim.keys, arguments: [one.claim.token, String(one.ttl.wholeMilliseconds)])
      return Request([command], deadline: one.deadline) { [connection] result in
        let outcome = Self.readExtension(result)
        if case .unknown(.unintelligible) = outcome { connection.distrust() }
        one.completion(outcome)
      }
    }
    connection.submit(contentsOf: requests)
  }

  private static func readExtension(
    _ result: Result<Request.Answer, RequestFailure>
  ) -> ExtensionOutcome {
    switch result {
    case .failure(let failure): return .unknown(StoreFailure(failure.cause))
    case .success(let answer):
      switch answer.replies[0] {
      case .integer(1): return .extended(sentAt: answer.sentAt)
      case .integer(0): return .notOurs
      case .error(let error): return .unknown(StoreFailure(error))
      case let reply: return .unknown(.unexpected(reply))
      }
    }
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseOutcome, StoreFailure>) -> Void
  ) {
    let claim = release.claim
    let request = Request(
      [Self.releaseCommand(claim)], deadline: deadline, isRepeatable: true,
      undo: { [self] in cleanUp(claim, until: release.keysLastUntil) }
    ) { [self] result in
      guard Self.isTransient(result) else {
        let outcome = Self.readRelease(result, of: release)
        if case .failure(.unintelligible) = outcome { connection.distrust() }
        completion(outcome)
        return
      }
      if ContinuousClock.now + StoreFailure.transientPause < deadline {
        connection.afterPause(StoreFailure.transientPause) {
          self.release(release, by: deadline, completion: completion)
        }
      } else {
        connection.submit(cleanUp(claim, until: release.keysLastUntil))
        completion(Self.readRelease(result, of: release))
      }
    }
    connection.submit(request)
  }

  /// Whether the server could not do the command just then.
  private static func isTransient(_ result: Result<Request.Answer, RequestFailure>) -> Bool {
    guard case .success(let answer) = result, let error = answer.replies[0].error else {
      return false
    }
    return error.remedy != .fail
  }

  private static func readRelease(
    _ result: Result<Request.Answer, RequestFailure>, of release: Release
  ) -> Result<ReleaseOutcome, StoreFailure> {
    switch result {
    case .failure(let failure): return .failure(StoreFailure(failure.cause))
    case .success(let answer):
      let isExplained = release.wasValid && (release.isRepetition || answer.isOfRepetition)
      switch answer.replies[0] {
      case .integer(1): return .success(.released)
      case .integer(0): return .success(isExplained ? .released : .expired)
      case .integer(-1): return .success(isExplained ? .released : .takenByAnother)
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }
  }

  private static func releaseCommand(_ claim: Claim) -> Command {
    Script.release.command(keys: claim.keys, arguments: [claim.token])
  }

  /// Makes the request that takes a claim back when nobody knows whether it was granted; from now on
  /// the claim's token is given up for good.
  private func cleanUp(_ claim: Claim) -> Request { cleanUp(claim, until: .now + claim.ttl) }

  private func cleanUp(_ claim: Claim, until end: Instant) -> Request {
    // Holds the store, so that the connection lives until this is done.
    Request([Self.releaseCommand(claim)], deadline: end, isRepeatable: true) { [self] result in
      guard Self.isTransient(result), ContinuousClock.now < end else { return }
      connection.afterPause(StoreFailure.transientPause) {
        self.connection.submit(self.cleanUp(claim, until: end))
      }
    }
  }
}

// MARK: Asking

extension RedisLockStore {
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> KeyState? {
    try await perform([Script.inspect.command(keys: [key])], by: deadline) { answer in
      switch answer.replies[0] {
      case .null: return .success(nil)
      case .array(let fields):
        guard let state = KeyState(fields[...]) else {
          return .failure(.unexpected(answer.replies[0]))
        }
        return .success(state)
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }.get()
  }

  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    try await perform([Script.forceRelease.command(keys: [key])], by: deadline) { answer in
      switch answer.replies[0] {
      case .null: return .success(nil)
      case .string(let value): return .success(value)
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }.get()
  }

  /// Sends commands and waits for what `read` makes of the replies.
  ///
  /// It reads on the connection's queue and in the order of the replies. Cancelling the task gives the
  /// request up. With `claim`, everything but a success of `read` takes the claim back.
  private func perform<Value: Sendable>(
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

extension Reply {
  /// The reply as a fencing token.
  fileprivate var fencingToken: UInt64? {
    switch self {
    case .integer(let number): UInt64(exactly: number)
    case .string(let digits): UInt64(digits)
    default: nil
    }
  }
}

extension KeyState {
  fileprivate init(_ holder: String? = nil) {
    self.init(holder: holder.flatMap { $0.isEmpty ? nil : $0 }, remaining: nil)
  }

  /// Reads a value and a `PTTL`, which is negative for a key that never expires.
  fileprivate init?(_ fields: ArraySlice<Reply>) {
    guard fields.count == 2, case .string(let value)? = fields.first,
      case .integer(let milliseconds)? = fields.last
    else { return nil }
    self.init(
      holder: value, remaining: milliseconds < 0 ? nil : .milliseconds(milliseconds))
  }
}

extension StoreFailure {
  fileprivate static func unexpected(_ reply: Reply) -> Self {
    .unintelligible("the server sent an unexpected reply: \("\(reply)".abbreviatedForMessage)")
  }
}
