internal import Synchronization

/// The slots of a cluster that a locker uses, each with its own fence counter, queues and grants.
final class RedisCluster: Sendable {
  let connection: ClusterConnection
  private let configuration: LockerConfiguration
  private let tokens: TokenSource
  private let nodes = Locked([Int: RedisNode]())
  private let hasBeenExamined = Atomic<Bool>(false)

  init(
    _ configuration: LockerConfiguration, seeds: [LockerConfiguration.Address],
    tokens: TokenSource, on machine: any Machine, reporter: Reporter
  ) {
    self.configuration = configuration
    self.tokens = tokens
    connection = ClusterConnection(configuration, seeds: seeds, on: machine, reporter: reporter)
    connection.onChange(
      ClusterConnection.Handlers(
        loggedIn: { [weak self] address in self?.loggedIn(to: address) },
        moved: { [weak self] slots in self?.moved(slots) }))
  }

  /// The node for a key's slot.
  func node(of key: String) -> RedisNode { node(ofSlot: HashSlot.slot(of: key)) }

  func node(ofSlot slot: Int) -> RedisNode {
    nodes.withLock { nodes in
      if let node = nodes[slot] { return node }
      let node = RedisNode(configuration, slot: slot, of: connection, tokens: tokens)
      nodes[slot] = node
      return node
    }
  }

  /// Makes sure that the keys of one lock are in one slot.
  ///
  /// - Throws: `severalSlots`, naming what would do.
  func check(_ keys: [String]) throws(StoreFailure) {
    guard keys.count > 1 else { return }
    let slot = HashSlot.slot(of: keys[0])
    guard let other = keys.first(where: { HashSlot.slot(of: $0) != slot }) else { return }
    throw .severalSlots(
      "\(keys[0].abbreviatedForMessage) and \(other.abbreviatedForMessage) are in different slots of "
        + "the cluster; keys of one lock need a common part in braces, such as "
        + Self.examples(keys[0], other))
  }

  /// Two keys with a common hash tag, like those that have none.
  private static func examples(_ first: String, _ second: String) -> String {
    func bare(_ key: String) -> String { key.filter { $0 != "{" && $0 != "}" } }
    let common = bare(first).commonPrefix(with: bare(second)).trimmingSeparators
    let tag = common.isEmpty ? "app" : common
    return [first, second].map { "{\(tag)}:\(bare($0))".abbreviatedForMessage }
      .joined(separator: " and ")
  }

  /// Asks one node, for tools that inspect it.
  func ask(
    _ address: LockerConfiguration.Address, _ command: Command, by deadline: Instant
  ) async throws -> Reply {
    let promise = Promise<Result<Reply, TransportError>>()
    let request = Request([command], deadline: deadline) { result in
      promise.fulfil(result.map { $0.replies[0] })
    }
    connection.send(request, to: connection.member(at: address))
    return try await promise.value.mapError {
      LockError(StoreFailure($0), keys: [], phase: .inspect)
    }.get()
  }

  func connect(by deadline: Instant) async throws(StoreFailure) {
    let promise = Promise<Result<Void, TransportError>>()
    let timer = configuration.connectTimeout
    connection.refresh { promise.fulfil($0) }
    connection.afterPause(max(connection.clock.now.duration(to: deadline), .zero)) {
      promise.fulfil(.failure(.unreachable("no node of the cluster answered within \(timer)")))
    }
    let result = await withTaskCancellationHandler {
      await promise.value
    } onCancel: {
      promise.fulfil(.failure(.cancelled))
    }
    if case .failure(let failure) = result { throw StoreFailure(failure) }
  }

  /// Prolongs leases whose keys are in one slot, one script each.
  ///
  /// While a slot is moving, a script for the keys of several leases fails, and one for a single key does not.
  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    examineServers()
    guard extensions.count > 1 else {
      let node = node(of: extensions[0].claim.keys[0])
      return node.extend(extensions, numbers: numbers, by: deadline, completion: completion)
    }
    let gathered = Locked(
      [Result<Extended, StoreFailure>?](repeating: nil, count: extensions.count))
    for (place, one) in extensions.enumerated() {
      node(of: one.claim.keys[0]).extend([one], numbers: 0, by: deadline) { result in
        let all: [Result<Extended, StoreFailure>]? = gathered.withLock { gathered in
          gathered[place] = result
          return gathered.contains { $0 == nil } ? nil : gathered.compactMap(\.self)
        }
        if let all { completion(Extended.all(of: all)) }
      }
    }
  }

  func stop() { connection.stop() }

  func close() -> Promise<Void> {
    for node in nodes.withLock({ $0.values }) { node.close() }
    connection.close()
    return connection.ended
  }

  // MARK: Changes

  private func loggedIn(to address: LockerConfiguration.Address) {
    for (slot, node) in nodes.withLock({ $0 }) where connection.owner(of: slot) == address {
      node.serverMayHaveChanged()
    }
  }

  /// Notes that other servers have slots by now: what their former servers refused may be allowed there.
  ///
  /// A former server that does not know that yet must not be believed any more, and grants come from the next one.
  private func moved(_ slots: [Int]) {
    let nodes = nodes.withLock { nodes in slots.compactMap { nodes[$0] } }
    for node in nodes {
      node.grantChannel.reconnect(because: "its slot has moved")
      node.serverMayHaveChanged()
    }
  }

  /// Checks once, without waiting, whether servers may drop locks.
  private func examineServers() {
    guard !hasBeenExamined.exchange(true, ordering: .relaxed) else { return }
    node(ofSlot: 0).examineServer()
  }
}

extension String {
  /// The text without signs at its end that separate the parts of a key.
  fileprivate var trimmingSeparators: String {
    var text = Substring(self)
    while let last = text.last, !last.isLetter, !last.isNumber { text.removeLast() }
    return String(text)
  }

  fileprivate func commonPrefix(with other: String) -> String {
    String(zip(self, other).prefix { $0 == $1 }.map(\.0))
  }
}
