extension Locker {
  /// How long the server may take for one answer.
  package var operationTimeout: Duration { coordinator.operationTimeout }

  /// Sends commands in one go, for tools that inspect the server; returns the replies, in order.
  package func ask(_ commands: [[String]]) async throws -> [Reply] {
    try await ask(commands.map { Command($0) })
  }

  /// Asks the server that has a key; without a key, any server.
  func ask(_ commands: [Command], about key: String? = nil) async throws -> [Reply] {
    guard let store = coordinator.store as? RedisLockStore else { return [] }
    return try await ask(commands, at: store.node(of: key.map { [$0] } ?? []))
  }

  /// Asks one server.
  func ask(_ commands: [Command], at node: RedisNode) async throws -> [Reply] {
    let deadline = coordinator.clock.now + coordinator.operationTimeout
    let result = await node.perform(commands, by: deadline) { answer in
      .success(Array(answer.replies))
    }
    switch result {
    case .success(let replies): return replies
    case .failure(.cancelled): throw CancellationError()
    case .failure(let failure): throw LockError(failure, keys: [], phase: .inspect)
    }
  }

  /// Whether the servers are nodes of a cluster; known once there has been a connection.
  package var isInCluster: Bool { (coordinator.store as? RedisLockStore)?.cluster != nil }

  /// The fence counter of a key.
  package func fenceCounter(of key: String) -> String? {
    (coordinator.store as? RedisLockStore)?.node(of: [key]).names.fence
  }

  /// The nodes of a cluster that have slots, as far as is known.
  ///
  /// If none has, the nodes that the configuration names.
  package var clusterMasters: [LockerConfiguration.Address] {
    guard let cluster = (coordinator.store as? RedisLockStore)?.cluster?.connection else {
      return []
    }
    let masters = cluster.masters
    return masters.isEmpty ? cluster.seeds : masters
  }

  /// A page of the keys of one type in the database, and where the next page begins: at `0` after the last.
  ///
  /// In a cluster, this begins with the node, a colon, and then where its next page begins.
  package func page(
    from cursor: String, matching pattern: String, ofType type: ListedKey.KeyType
  ) async throws -> (cursor: String, keys: [ListedKey]) {
    if let cluster = (coordinator.store as? RedisLockStore)?.cluster {
      return try await page(from: cursor, matching: pattern, ofType: type, in: cluster)
    }
    guard let store = coordinator.store as? RedisLockStore else { return ("0", []) }
    return try await page(from: cursor, matching: pattern, ofType: type, at: store.node(of: []))
  }

  /// A page of the keys on one server.
  func page(
    from cursor: String, matching pattern: String, ofType type: ListedKey.KeyType,
    at node: RedisNode
  ) async throws -> (cursor: String, keys: [ListedKey]) {
    let command = Script.list.command(keys: [], arguments: [cursor, pattern, "200", type.rawValue])
    return try page(try await ask([command], at: node)[0])
  }

  /// A page of the keys at one node of a cluster after the other.
  private func page(
    from cursor: String, matching pattern: String, ofType type: ListedKey.KeyType,
    in cluster: RedisCluster
  ) async throws -> (cursor: String, keys: [ListedKey]) {
    let masters = clusterMasters
    let parts = cursor.split(separator: ":")
    let place = parts.count == 2 ? Int(parts[0]) ?? 0 : 0
    guard place < masters.count else { return ("0", []) }
    let command = Script.list.command(
      keys: [],
      arguments: [parts.count == 2 ? String(parts[1]) : "0", pattern, "200", type.rawValue])
    let deadline = coordinator.clock.now + coordinator.operationTimeout
    let page = try page(try await cluster.ask(masters[place], command, by: deadline))
    let next = page.cursor == "0" ? "\(place + 1):0" : "\(place):\(page.cursor)"
    return (place + 1 == masters.count && page.cursor == "0" ? "0" : next, page.keys)
  }

  private func page(_ reply: Reply) throws -> (cursor: String, keys: [ListedKey]) {
    switch reply {
    case .array(let replies):
      guard case .string(let next)? = replies.first else { break }
      let starts = stride(from: 1, to: replies.count, by: 3)
      return (next, starts.compactMap { ListedKey(replies[$0..<min($0 + 3, replies.count)]) })
    case .error(let error): throw LockError(StoreFailure(error), keys: [], phase: .inspect)
    default: break
    }
    throw LockError(.refused, "the server does not list its keys", phase: .inspect)
  }

  /// Tries the commands that locks need; returns nil if all of them work, as far as that can be known.
  ///
  /// - Returns: What fails and why, and whether it may work in a moment.
  package func tryCommands(for key: String) async throws -> (text: String, isTransient: Bool)? {
    guard let store = coordinator.store as? RedisLockStore else {
      return try await tryCommandsInQuorum(for: key)
    }
    let command = Script.trial.command(
      keys: [store.node(of: [key]).names.trial(of: key)],
      arguments: [store.isFencing ? "1" : "0"])
    return Self.failure(try await ask([command], about: key)[0])
  }

  /// What the answer to a trial of commands says that fails.
  static func failure(_ reply: Reply) -> (text: String, isTransient: Bool)? {
    switch reply {
    case .array(let parts):
      guard parts.count == 2, case .string(let name) = parts[0], case .string(let text) = parts[1]
      else { return nil }
      let error = ServerError(message: text)
      return ("\(name): \(error.message)", error.remedy != .fail)
    // A user that may lock only some keys, without fencing tokens, needs none of the library's own keys.
    case .error(let error) where StoreFailure(error).isAboutKeys: return nil
    case .error(let error): return (error.message, error.remedy != .fail)
    default: return nil
    }
  }

  /// Whether the server notifies this locker of released locks; asks it to, in order to find out.
  package func canBeTold() async -> Bool {
    let answer = Promise<Bool>()
    coordinator.store.prepareToWait(for: [], while: nil) { answer.fulfil($0) }
    return await answer.value
  }
}
