extension RedisNode {
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    try await withOrWithoutQueues(of: key) { queued async throws(StoreFailure) in
      try await inspect(key, queued: queued, by: deadline)
    }
  }

  /// Asks with the queues if they may be used, and without them if the server refuses that.
  ///
  /// Only if the server accepts the second request are the queues at fault, and not the key.
  ///
  /// A refusal that still counts is no reason not to ask: a waiter that is passed over would wait in vain.
  private func withOrWithoutQueues<Value>(
    of key: String, _ ask: (_ queued: Bool) async throws(StoreFailure) -> Value
  ) async throws(StoreFailure) -> Value {
    do throws(StoreFailure) {
      return try await ask(true)
    } catch {
      guard case .refused(ServerError.Code.noPerm.rawValue, let message, _) = error else {
        throw error
      }
      let value = try await ask(false)
      doWithoutQueues(of: [key], because: ServerError(message: message))
      return value
    }
  }

  private func inspect(
    _ key: String, queued: Bool, by deadline: Instant
  ) async throws(StoreFailure) -> Inspection? {
    let command = Script.inspect.command(keys: queued ? names.keys(of: key) : [key])
    let result: Result<Inspection?, StoreFailure> = await perform([command], by: deadline) {
      answer in
      switch answer.replies[0] {
      case .null: return .success(nil)
      case .array(let fields):
        guard fields.count == 5, let state = KeyState(fields[...1]),
          case .integer(let count) = fields[2], (0...Int64(Int32.max)).contains(count),
          case .array(let tokens) = fields[3], case .integer(let isReserved) = fields[4]
        else { return .failure(.unexpected(answer.replies[0])) }
        let waiters = tokens.compactMap { reply -> String? in
          if case .string(let token) = reply { token } else { nil }
        }
        return .success(
          Inspection(
            state: state, waiterCount: Int(count), waiters: waiters, isReserved: isReserved == 1))
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }
    return try result.get()
  }

  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    try await withOrWithoutQueues(of: key) { queued async throws(StoreFailure) in
      try await forceRelease(key, queued: queued, by: deadline)
    }
  }

  private func forceRelease(
    _ key: String, queued: Bool, by deadline: Instant
  ) async throws(StoreFailure) -> String? {
    let command = Script.forceRelease.command(
      keys: queued ? names.keysAndFence(of: [key]) : [key],
      arguments: [queued ? names.prefix : ""])
    let result: Result<String?, StoreFailure> = await perform([command], by: deadline) {
      answer in
      switch answer.replies[0] {
      case .null: return .success(nil)
      case .string(let value): return .success(value)
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }
    return try result.get()
  }

  /// The failure of a request that may be repeated without the queues.
  static func failureOfQueues(_ error: ServerError?) -> StoreFailure {
    .refused(code: error?.code.rawValue ?? "", message: error?.message ?? "", isTransient: true)
  }
}
