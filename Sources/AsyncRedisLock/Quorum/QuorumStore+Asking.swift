extension QuorumStore {
  func connect(by deadline: Instant) async throws(StoreFailure) {
    _ = try await ask("connected") { store async throws(StoreFailure) in
      try await store.connect(by: deadline)
    }
  }

  func ping(by deadline: Instant) async throws(StoreFailure) {
    _ = try await ask("answered") { store async throws(StoreFailure) in
      try await store.ping(by: deadline)
    }
  }

  /// Returns the holder that a majority knows; nil if there can be none.
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    let found = try await ask("answered") { store async throws(StoreFailure) in
      try await store.inspect(key, by: deadline)
    } isEnough: { [majority, members] answers in
      // Enough also if no holder would have a majority if all the others named it.
      let most = Self.votes(answers.map { $0?.state.holder }).values.max() ?? 0
      return most >= majority || most + members.count - answers.count < majority
    }
    let votes = Self.votes(found.map { $0?.state.holder })
    guard let holder = votes.max(by: { $0.value < $1.value })?.key else { return nil }
    // Those without an answer may have the key as well.
    guard (votes[holder] ?? 0) + members.count - found.count >= majority else { return nil }
    let own = found.compactMap(\.self).filter { $0.state.holder == holder }
    let remaining = own.compactMap(\.state.remaining).sorted(by: >)
    return Inspection(
      state: KeyState(
        holder: holder, remaining: remaining.prefix(majority).last,
        isEndless: own.allSatisfy(\.state.isEndless)),
      waiterCount: 0, waiters: [])
  }

  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    let found = try await ask("answered") { store async throws(StoreFailure) in
      try await store.forceRelease(key, by: deadline)
    }
    return Self.votes(found).max { $0.value < $1.value }?.key
  }

  /// How many members name each holder.
  private static func votes(_ holders: [String?]) -> [String: Int] {
    Dictionary(holders.compactMap { $0 }.map { ($0, 1) }, uniquingKeysWith: +)
  }

  /// Asks all members at once; returns the answers of a majority at least.
  ///
  /// If there is a majority but not `isEnough`, waits for the others, too. The other requests go on until their
  /// deadline.
  private func ask<Value: Sendable>(
    _ done: String,
    _ question: @escaping @Sendable (any QuorumMember) async throws(StoreFailure) -> Value,
    isEnough: @escaping @Sendable ([Value]) -> Bool = { _ in true }
  ) async throws(StoreFailure) -> [Value] {
    let call = QuorumQuestion(done, of: self, isEnough: isEnough)
    for (index, member) in members.enumerated() {
      Task.detached(executorPreference: globalConcurrentExecutor, priority: .high) {
        do throws(StoreFailure) {
          call.answered(.success(try await question(member)), by: index)
        } catch {
          call.answered(.failure(error), by: index)
        }
      }
    }
    return try await withTaskCancellationHandler {
      await call.promise.value
    } onCancel: {
      call.promise.fulfil(.failure(.cancelled))
    }.get()
  }
}

/// One question to all members of a quorum, and their answers.
private final class QuorumQuestion<Value: Sendable>: Sendable {
  private struct State {
    var tally: QuorumTally
    var values: [Value] = []
  }

  let promise = Promise<Result<[Value], StoreFailure>>()
  private let store: QuorumStore
  private let done: String
  private let isEnough: @Sendable ([Value]) -> Bool
  private let state: Locked<State>

  /// `done` tells what members do that answer.
  init(_ done: String, of store: QuorumStore, isEnough: @escaping @Sendable ([Value]) -> Bool) {
    self.done = done
    self.store = store
    self.isEnough = isEnough
    state = Locked(State(tally: QuorumTally(connected: store.members.map(\.isConnected))))
  }

  func answered(_ answer: Result<Value, StoreFailure>, by member: Int) {
    let server = store.server(of: member)
    let (tally, values) = state.withLock { state in
      switch answer {
      case .success(let value):
        state.tally.note(.yes(by: server), of: member)
        state.values.append(value)
      case .failure(let failure): state.tally.note(.failure(failure), of: member)
      }
      return (state.tally, state.values)
    }
    switch tally.outcome {
    case .open: break
    case .carried: if tally.openCount == 0 || isEnough(values) { promise.fulfil(.success(values)) }
    case .declined, .unanswered:
      promise.fulfil(
        .failure(tally.failure(done, count: tally.yesCount, names: store.names)))
    }
  }
}
