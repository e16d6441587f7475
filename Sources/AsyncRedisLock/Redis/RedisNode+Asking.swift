extension RedisNode {
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    let queued = mayUseQueues
    let command = Script.inspect.command(keys: queued ? names.keys(of: key) : [key])
    let result: Result<Inspection?, StoreFailure> = await perform([command], by: deadline) {
      [self] answer in
      let error = answer.replies[0].error
      if mustDoWithoutQueues(error, queued: queued), let error {
        return .failure(Self.failureOfQueues(error))
      }
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
    let queued = mayUseQueues
    let command = Script.forceRelease.command(
      keys: queued ? names.keysAndFence(of: [key]) : [key],
      arguments: [queued ? names.prefix : ""])
    let result: Result<String?, StoreFailure> = await perform([command], by: deadline) {
      [self] answer in
      let error = answer.replies[0].error
      if mustDoWithoutQueues(error, queued: queued), let error {
        return .failure(Self.failureOfQueues(error))
      }
      switch answer.replies[0] {
      case .null: return .success(nil)
      case .string(let value): return .success(value)
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }
    return try result.get()
  }

  /// The failure of a question that may be asked again without the queues.
  static func failureOfQueues(_ error: ServerError) -> StoreFailure {
    .refused(code: error.code.rawValue, message: error.message, isTransient: true)
  }
}
