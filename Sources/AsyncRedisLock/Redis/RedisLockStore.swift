internal import Synchronization

/// Stores locks as keys of Redis or Valkey: finds the node that has the keys of a claim, and asks it.
///
/// That is the one server, or the node of one slot of a cluster.
final class RedisLockStore: LockStore {
  /// The one server; with a cluster, one of its slots.
  let node: RedisNode
  private let tokens: TokenSource
  private let found: FoundCluster

  /// The cluster; nil for one server, and until that is found to be a node of a cluster.
  private final class FoundCluster: Sendable {
    let reference = AtomicLazyReference<RedisCluster>()
  }

  var cluster: RedisCluster? { found.reference.load() }

  /// Creates a store on the server of a configuration, maybe as a member of a quorum.
  init(
    _ configuration: LockerConfiguration, on machine: any Machine, reporter: Reporter,
    isMember: Bool = false
  ) throws(StoreFailure) {
    let tokens = TokenSource(label: configuration.label, of: machine)
    let found = FoundCluster()
    self.tokens = tokens
    self.found = found
    reporter.identify(as: tokens.lockerID)
    let begin: @Sendable ([LockerConfiguration.Address]) -> RedisCluster = { seeds in
      found.reference.storeIfNil(
        RedisCluster(configuration, seeds: seeds, tokens: tokens, on: machine, reporter: reporter))
    }
    if case .cluster(let nodes) = configuration.address.kind {
      node = begin(nodes.map(\.address)).node(ofSlot: 0)
    } else {
      let serverRun = isMember ? KnownServerRun(clock: machine.clock) : nil
      node = try RedisNode(
        configuration, tokens: tokens, on: machine, reporter: reporter, serverRun: serverRun
      ) {
        if isMember {
          return .refused(
            ServerError(message: "ERR this is a node of a cluster, and no server of its own"))
        }
        if let objection = configuration.objectionOfCluster {
          return .refused(ServerError(message: "ERR this is a node of a cluster: \(objection)"))
        }
        _ = begin([configuration.address])
        return .isCluster
      }
    }
  }

  deinit { close() }

  /// The node that keeps some keys.
  func node(of keys: [String]) -> RedisNode { cluster?.node(of: keys.first ?? "") ?? node }

  /// The node that keeps the keys of a claim.
  func node(of claim: Claim) -> RedisNode { node(of: claim.keys) }

  /// Calls a function with the node that keeps some keys, and once more if the one server turns out to be a node of a
  /// cluster.
  private func atNode<Value>(
    of keys: [String], _ body: (RedisNode) async throws(StoreFailure) -> Value
  ) async throws(StoreFailure) -> Value {
    try cluster?.check(keys)
    do throws(StoreFailure) {
      return try await body(node(of: keys))
    } catch {
      guard error.isCluster, let cluster else { throw error }
      try cluster.check(keys)
      return try await body(node(of: keys))
    }
  }

  var clock: LockClock { node.clock }

  var randomness: Randomness { tokens.randomness }

  var roundTrip: Duration { cluster?.connection.roundTrip ?? node.roundTrip }

  var isFencing: Bool { node.isFencing }

  var lockerID: String { tokens.lockerID }

  func makeToken(for keys: [String], label: String?) -> String {
    node(of: keys).makeToken(for: keys, label: label)
  }

  func connect(by deadline: Instant) async throws(StoreFailure) {
    do throws(StoreFailure) {
      if let cluster { return try await cluster.connect(by: deadline) }
      try await node.perform([], by: deadline) { _ in .success(()) }.get()
    } catch {
      guard error.isCluster, let cluster else { throw error }
      return try await cluster.connect(by: deadline)
    }
    node.acknowledger?.connect()
  }

  var isConnected: Bool { node.reporter.isConnected }

  func ping(by deadline: Instant) async throws(StoreFailure) {
    try await atNode(of: []) { node async throws(StoreFailure) in
      try await node.perform([Command("PING")], by: deadline) { answer in
        // A user that is not allowed to ask this has been answered by a healthy server.
        guard let error = answer.replies[0].error, error.code != .noPerm else {
          return .success(())
        }
        return .failure(StoreFailure(error))
      }.get()
    }
  }

  func stop() {
    node.stop()
    cluster?.stop()
  }

  @discardableResult
  func close() -> Promise<Void> {
    let ended = node.close()
    return cluster?.close() ?? ended
  }

  // MARK: Taking

  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    guard cluster == nil else {
      return try await atNode(of: claim.keys) { node async throws(StoreFailure) in
        try await node.acquire(claim, numbers: numbers, by: deadline)
      }
    }
    do throws(StoreFailure) {
      return try await node.acquire(claim, numbers: numbers, by: deadline)
    } catch {
      guard error.isCluster, let cluster else { throw error }
      try cluster.check(claim.keys)
      return try await cluster.node(of: claim.keys[0]).acquire(
        claim, numbers: numbers, by: deadline)
    }
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await atNode(of: claim.keys) { node async throws(StoreFailure) in
      try await node.inquire(claim, numbers: numbers, by: deadline)
    }
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await atNode(of: claim.keys) { node async throws(StoreFailure) in
      try await node.adopt(claim, from: token, numbers: numbers, by: deadline)
    }
  }

  // MARK: Waiting

  func isTold(of keys: [String]) -> Bool { node(of: keys).isTold(of: keys) }

  func mayQueueUntold(for keys: [String]) -> Bool { node(of: keys).mayQueueUntold(for: keys) }

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
    _ claim: Claim, numbers: Int, lapse: Duration, reservation: Duration?, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) {
    node(of: claim).poll(
      claim, numbers: numbers, lapse: lapse, reservation: reservation, by: deadline,
      completion: completion)
  }

  // Each slot would need a request of its own.
  var refreshesEntries: Bool { cluster == nil }

  func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void
  ) { node.refresh(places, by: deadline, completion: completion) }

  func cancel(_ claim: Claim, lapse: Duration) { node(of: claim).cancel(claim, lapse: lapse) }

  // MARK: Keeping and giving back

  func route(of claim: Claim) -> Int {
    cluster == nil ? 0 : HashSlot.slot(of: claim.keys[0])
  }

  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    if let cluster {
      cluster.extend(extensions, numbers: numbers, by: deadline, completion: completion)
    } else {
      node.extend(extensions, numbers: numbers, by: deadline, completion: completion)
    }
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) { node(of: release.claim).release(release, by: deadline, completion: completion) }

  // MARK: Asking and intervening

  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    try await atNode(of: [key]) { node async throws(StoreFailure) in
      try await node.inspect(key, by: deadline)
    }
  }

  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    try await atNode(of: [key]) { node async throws(StoreFailure) in
      try await node.forceRelease(key, by: deadline)
    }
  }
}
