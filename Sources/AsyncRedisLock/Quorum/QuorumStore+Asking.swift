extension QuorumStore {
  func connect(by deadline: Instant) async throws(StoreFailure) {
    _ = try await ask("connected") { [members] member async throws(StoreFailure) in
      try await members[member].connect(by: deadline)
    }
  }

  func ping(by deadline: Instant) async throws(StoreFailure) {
    _ = try await ask("answered") { [members] member async throws(StoreFailure) in
      try await members[member].ping(by: deadline)
    }
  }

  /// Returns the holder that a majority knows or may know; nil if there can be none.
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    let sightings = try await ask("answered") { [self] member async throws(StoreFailure) in
      let inspection = try await members[member].inspect(key, by: deadline)
      return Sighting(inspection: inspection, mayHaveForgotten: mayHaveForgotten(member))
    } isEnough: { [majority, members] sightings in
      let holders = sightings.map(\.holder)
      // Enough also if no holder would have a majority if all the others named it.
      return Self.votes(holders).values.contains { $0 >= majority }
        || (holders + [nil]).allSatisfy { holder in
          Self.mostVotes(for: holder, in: sightings, of: members.count) < majority
        }
    }
    func mostVotes(_ holder: String) -> Int {
      Self.mostVotes(for: holder, in: sightings, of: members.count)
    }
    let holders = Set(sightings.compactMap(\.holder))
    // Those without an answer, and those that may have forgotten it, may have the key as well.
    guard let holder = holders.max(by: { mostVotes($0) < mostVotes($1) }),
      mostVotes(holder) >= majority
    else { return nil }
    let own = sightings.compactMap(\.inspection).filter { $0.state.holder == holder }
    let remaining = own.compactMap(\.state.remaining).sorted(by: >)
    return Inspection(
      state: KeyState(
        holder: holder, remaining: remaining.prefix(majority).last,
        isEndless: own.allSatisfy(\.state.isEndless)),
      waiterCount: 0, waiters: [])
  }

  /// What a member says about a key.
  private struct Sighting: Sendable {
    let inspection: Inspection?
    /// Whether the member may have had another holder, which it has forgotten.
    let mayHaveForgotten: Bool

    var holder: String? { inspection?.state.holder }
  }

  /// How many of the members may know a holder, or one that none of them has named.
  private static func mostVotes(for holder: String?, in sightings: [Sighting], of count: Int) -> Int
  {
    count - sightings.count { !$0.mayHaveForgotten && ($0.holder == nil || $0.holder != holder) }
  }

  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    let found = try await ask("answered") { [members] member async throws(StoreFailure) in
      try await members[member].forceRelease(key, by: deadline)
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
    _ question: @escaping @Sendable (_ member: Int) async throws(StoreFailure) -> Value,
    isEnough: @escaping @Sendable ([Value]) -> Bool = { _ in true }
  ) async throws(StoreFailure) -> [Value] {
    let call = QuorumQuestion(done, of: self, isEnough: isEnough)
    for member in members.indices {
      Task.detached(executorPreference: globalConcurrentExecutor, priority: .high) {
        do throws(StoreFailure) {
          call.answered(.success(try await question(member)), by: member)
        } catch {
          call.answered(.failure(error), by: member)
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
