extension Locker {
  /// Sends commands in one go, for tools that inspect the server; returns the replies, in order.
  package func ask(_ commands: [[String]]) async throws -> [Reply] {
    try await ask(commands.map { Command($0) })
  }

  func ask(_ commands: [Command]) async throws -> [Reply] {
    guard let store = coordinator.store as? RedisLockStore else { return [] }
    let deadline = coordinator.clock.now + coordinator.operationTimeout
    let result = await store.node.perform(commands, by: deadline) { answer in
      .success(Array(answer.replies))
    }
    switch result {
    case .success(let replies): return replies
    case .failure(.cancelled): throw CancellationError()
    case .failure(let failure): throw LockError(failure, keys: [], phase: .inspect)
    }
  }

  /// A page of the strings in the database, and where the next page begins: at `0` after the last.
  package func page(
    from cursor: String, matching pattern: String
  ) async throws -> (cursor: String, keys: [ListedKey]) {
    switch try await ask([Script.list.command(keys: [], arguments: [cursor, pattern, "200"])])[0] {
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
    guard let store = coordinator.store as? RedisLockStore else { return nil }
    let command = Script.trial.command(
      keys: [store.node.names.trial(of: key)], arguments: [store.isFencing ? "1" : "0"])
    switch try await ask([command])[0] {
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
