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
}
