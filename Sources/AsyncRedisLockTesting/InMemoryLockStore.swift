internal import AsyncRedisLock
internal import Synchronization

/// Locks in the memory of this process.
final class InMemoryLockStore: LockStore {
  let server: InMemoryServer
  let client: Int
  let isFencing: Bool
  private let tokens: TokenSource

  init(_ configuration: LockerConfiguration, on server: InMemoryServer) {
    self.server = server
    tokens = TokenSource(label: configuration.label)
    client = server.admit(tokens.lockerID)
    isFencing = configuration.isFencingEnabled
  }

  var clock: LockClock { server.time }

  var randomness: Randomness { .system }

  var roundTrip: Duration { server.state.withLock { $0.clients[client].fault.delay } }

  var lockerID: String { tokens.lockerID }

  func makeToken(for keys: [String], label: String?) -> String { tokens.next(label: label) }

  func connect(by deadline: Instant) async throws(StoreFailure) {}

  func ping(by deadline: Instant) async throws(StoreFailure) {
    try await ask(by: deadline) { _, _ in }
  }

  // MARK: Taking

  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await inquire(claim, numbers: numbers, by: deadline)
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await take(claim, numbers, by: deadline) { server, keys, token in
      server.acquire(keys, token, ttl: ServerMemory.life(claim.ttl), numbers: numbers)
    }
  }

  func adopt(
    _ claim: Claim, from former: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    let client = client
    return try await ask(by: deadline, remedy: cleanUp(claim, until: deadline + claim.ttl)) {
      [isFencing] memory, now in
      let (keys, token) = memory.numbers(of: claim, client: client)
      let former = memory.number(of: former, client: client)
      let first = memory.server.adopt(
        keys, from: former, token, ttl: ServerMemory.life(claim.ttl), numbers: numbers)
      guard let first else {
        let key = keys.first { ![former, token].contains(memory.server.value($0)) }
        return .contended(memory.state(of: key ?? keys[0]))
      }
      return .held(sentAt: now, numbers: isFencing ? first..<first + UInt64(numbers) : 0..<0)
    }
  }

  private func take(
    _ claim: Claim, _ numbers: Int, by deadline: Instant,
    _ act: @escaping @Sendable (inout SimulatedServer, [Int], Int) -> UInt64?
  ) async throws(StoreFailure) -> Acquisition {
    let client = client
    return try await ask(by: deadline, remedy: cleanUp(claim, until: deadline + claim.ttl)) {
      [isFencing] memory, now in
      let (keys, token) = memory.numbers(of: claim, client: client)
      guard let first = act(&memory.server, keys, token) else {
        let key = memory.server.holder(of: keys, besides: token)
        return .contended(memory.state(of: key ?? keys[0]))
      }
      return .held(sentAt: now, numbers: isFencing ? first..<first + UInt64(numbers) : 0..<0)
    }
  }

  // MARK: Asking

  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    try await ask(by: deadline) { memory, _ in
      let number = memory.number(of: key)
      let state = memory.state(of: number)
      guard state.holder != nil else { return nil }
      let waiters = memory.server.waiters(number).map { memory.name(of: $0) }
      return Inspection(
        state: state, waiterCount: waiters.count, waiters: Array(waiters.prefix(100)))
    }
  }

  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    try await ask(by: deadline) { memory, _ in
      let holder = memory.holder(of: key)
      memory.server.forceRelease(memory.number(of: key))
      return holder
    }
  }

  private func ask<Answer: Sendable>(
    by deadline: Instant, remedy: (@Sendable () -> InMemoryRequest)? = nil,
    _ act: @escaping @Sendable (inout ServerMemory, Instant) -> Answer
  ) async throws(StoreFailure) -> Answer {
    let promise = Promise<Result<Answer, StoreFailure>>()
    let request = InMemoryRequest(from: client, by: deadline, remedy: remedy) { memory, now in
      let answer = act(&memory, now)
      return { promise.fulfil(.success(answer)) }
    } fail: {
      promise.fulfil(.failure($0))
    }
    return try await withTaskCancellationHandler {
      server.submit(request)
      return await promise.value(countedBy: clock.activity)
    } onCancel: {
      server.abandon(request, because: .cancelled)
    }.get()
  }

  /// Makes the request that undoes a claim with an unknown outcome.
  func cleanUp(_ claim: Claim, until end: Instant) -> @Sendable () -> InMemoryRequest {
    let client = client
    return { .cleaningUp(claim, of: client, until: end) }
  }

  // MARK: Closing

  func stop() { server.stop(client) }

  func close() -> Promise<Void> {
    stop()
    let promise = Promise<Void>()
    promise.fulfil(())
    return promise
  }
}
