/// Stores locks as keys of Redis or Valkey: finds the server that has the keys of a claim, and asks it.
///
/// There is one server today. A cluster will have more, each with its connection, its fence counter and its grants.
final class RedisLockStore: LockStore {
  let node: RedisNode
  private let tokens: TokenSource

  init(
    _ configuration: LockerConfiguration, on machine: any Machine, reporter: Reporter
  ) throws(StoreFailure) {
    tokens = TokenSource(label: configuration.label, of: machine)
    reporter.identify(as: tokens.lockerID)
    node = try RedisNode(configuration, tokens: tokens, on: machine, reporter: reporter)
  }

  deinit { close() }

  /// The server that keeps some keys.
  func node(of keys: [String]) -> RedisNode { node }

  /// The server that keeps the keys of a claim.
  func node(of claim: Claim) -> RedisNode { node }

  var clock: LockClock { node.clock }

  var randomness: Randomness { tokens.randomness }

  var roundTrip: Duration { node.roundTrip }

  var isFencing: Bool { node.isFencing }

  var lockerID: String { tokens.lockerID }

  func makeToken(for keys: [String], label: String?) -> String {
    node(of: keys).makeToken(for: keys, label: label)
  }

  func connect(by deadline: Instant) async throws(StoreFailure) {
    try await node.perform([], by: deadline) { _ in .success(()) }.get()
    node.acknowledger?.connect()
  }

  var isConnected: Bool { node.reporter.isConnected }

  func ping(by deadline: Instant) async throws(StoreFailure) {
    try await node.perform([Command("PING")], by: deadline) { answer in
      // A user that is not allowed to ask this has been answered by a healthy server.
      guard let error = answer.replies[0].error, error.code != .noPerm else { return .success(()) }
      return .failure(StoreFailure(error))
    }.get()
  }

  func stop() { node.stop() }

  @discardableResult
  func close() -> Promise<Void> { node.close() }

  // MARK: Taking

  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await node(of: claim).acquire(claim, numbers: numbers, by: deadline)
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await node(of: claim).inquire(claim, numbers: numbers, by: deadline)
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await node(of: claim).adopt(claim, from: token, numbers: numbers, by: deadline)
  }

  // MARK: Waiting

  func isTold(of keys: [String]) -> Bool { node(of: keys).isTold(of: keys) }

  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void
  ) { node(of: keys).prepareToWait(for: keys, while: isWanted, completion: completion) }

  func listen(for claim: Claim, _ listener: @escaping @Sendable (Notice) -> Void) {
    node(of: claim).listen(for: claim.token, listener)
  }

  func stopListening(for claim: Claim) {
    node(of: claim).grantChannel.retire(claim.token)
  }

  func noteUntoldGrant(of claim: Claim) {
    node(of: claim).grantChannel.noteUntoldGrant(of: claim.token)
  }

  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) {
    node(of: claim).poll(
      claim, numbers: numbers, lapse: lapse, by: deadline, completion: completion)
  }

  var refreshesEntries: Bool { true }

  func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void
  ) { node.refresh(places, by: deadline, completion: completion) }

  func cancel(_ claim: Claim, lapse: Duration) { node(of: claim).cancel(claim, lapse: lapse) }

  // MARK: Keeping and giving back

  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) { node.extend(extensions, numbers: numbers, by: deadline, completion: completion) }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) { node(of: release.claim).release(release, by: deadline, completion: completion) }

  // MARK: Asking and intervening

  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    try await node(of: [key]).inspect(key, by: deadline)
  }

  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    try await node(of: [key]).forceRelease(key, by: deadline)
  }
}
