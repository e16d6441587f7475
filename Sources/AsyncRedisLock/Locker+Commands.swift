extension Locker {
  /// Sends commands in one go, for tools that look at the server; the replies, in order.
  package func ask(_ commands: [[String]]) async throws -> [Reply] {
    try await ask(commands.map { Command($0) })
  }

  func ask(_ commands: [Command]) async throws -> [Reply] {
    guard let store = coordinator.store as? RedisLockStore else { return [] }
    let deadline = Instant.now + coordinator.operationTimeout
    let result = await store.perform(commands, by: deadline) { answer in
      .success(answer.replies)
    }
    switch result {
    case .success(let replies): return replies
    case .failure(.cancelled): throw CancellationError()
    case .failure(let failure): throw LockError(failure, keys: [], phase: .inspect)
    }
  }

  /// Whether the server tells this locker of locks that become free; to find out, it is asked to.
  package func canBeTold() async -> Bool {
    let answer = Promise<Bool>()
    coordinator.store.prepareToWait { answer.fulfil($0) }
    return await answer.value
  }
}
