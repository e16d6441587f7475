/// Asking the servers of a quorum, for tools that inspect them.
extension Locker {
  /// The servers of a quorum; nil without a quorum.
  private var members: [RedisLockStore]? {
    (coordinator.store as? QuorumStore)?.members.compactMap { $0 as? RedisLockStore }
  }

  /// How many servers the quorum has; zero without a quorum.
  package var quorumSize: Int { members?.count ?? 0 }

  /// How many servers of the quorum have to agree.
  package var quorumMajority: Int { QuorumTally.majority(of: quorumSize) }

  /// A page of the keys of one type on one server of the quorum, and where the next page begins.
  package func page(
    from cursor: String, matching pattern: String, ofType type: ListedKey.KeyType,
    onMember number: Int
  ) async throws -> (cursor: String, keys: [ListedKey]) {
    guard let members else { return ("0", []) }
    return try await page(
      from: cursor, matching: pattern, ofType: type, at: members[number].node)
  }

  /// Sends commands to all servers of the quorum at once; returns the answers as soon as they are enough.
  ///
  /// Without `isEnough`, a majority without an error is, or so many errors that there can be none. The others are asked
  /// all the same.
  ///
  /// - Throws: ``LockError`` if no majority answers; an error is an answer.
  private func askQuorum(
    _ commands: [Command], isEnough: (([[Reply]]) -> Bool)? = nil
  ) async throws -> [[Reply]] {
    guard let members else { return [] }
    let (answers, sink) = AsyncStream.makeStream(of: Result<[Reply], any Error>.self)
    for member in members {
      // Outlives the call, so that a record gets to all servers.
      Task {
        do {
          sink.yield(.success(try await ask(commands, at: member.node)))
        } catch {
          sink.yield(.failure(error))
        }
      }
    }
    var (replies, failure, count) = ([[Reply]](), (any Error)?.none, 0)
    for await answer in answers {
      count += 1
      switch answer {
      case .success(let found): replies.append(found)
      case .failure(let error): failure = error
      }
      let isSettled = isEnough.map { $0(replies) } ?? isSettled(replies)
      if isSettled || count == members.count { break }
    }
    try Task.checkCancellation()
    if replies.count < quorumMajority, let failure { throw failure }
    return replies
  }

  /// Whether a majority has answered without an error, or cannot any more.
  private func isSettled(_ answers: [[Reply]]) -> Bool {
    let successes = Self.successes(answers)
    let refusals = answers.count - successes
    return successes >= quorumMajority || refusals > (members?.count ?? 0) - quorumMajority
  }

  /// How many servers have answered without an error.
  private static func successes(_ answers: [[Reply]]) -> Int {
    answers.count { replies in replies.allSatisfy { $0.error == nil } }
  }

  // MARK: Records

  /// Leaves a record of a run on the servers of the quorum, with the arguments of its script.
  func recordInQuorum(_ lock: Lock, arguments: [String]) async throws {
    guard let names = members?.first?.node.names else { return }
    let answers = try await askQuorum(
      lock.keys.map { Script.record.command(keys: [names.record(of: $0)], arguments: arguments) })
    // A later look asks a majority, and any two majorities share a server.
    guard Self.successes(answers) < quorumMajority else { return }
    if let error = answers.joined().lazy.compactMap(\.error).first {
      throw LockError(StoreFailure(error), keys: lock.keys, phase: .acquire)
    }
  }

  /// The latest records that a majority of the quorum knows: any two majorities share a server.
  func recordsInQuorum(of keys: [String]) async throws -> [RunRecord?] {
    guard let names = members?.first?.node.names else { return keys.map { _ in nil } }
    let count = RunRecord.fields.count
    let answers = try await askQuorum(
      keys.flatMap { key in
        RunRecord.fields.map { Command(["HGET", names.record(of: key), $0]) }
      })
    return keys.indices.map { index in
      answers.compactMap { RunRecord($0[index * count..<(index + 1) * count]) }
        .max { ($0.start, $0.end == nil ? 0 : 1) < ($1.start, $1.end == nil ? 0 : 1) }
    }
  }

  /// The middle one of the servers' times, in milliseconds since 1970.
  func quorumTime() async throws -> Int64? {
    let times = try await askQuorum([Command(["TIME"])]).compactMap { Self.time($0.first) }
    return times.isEmpty ? nil : times.sorted()[times.count / 2]
  }

  // MARK: Commands

  /// Tries the commands that locks need; returns nil if they work on a majority.
  func tryCommandsInQuorum(for key: String) async throws -> (text: String, isTransient: Bool)? {
    guard let node = members?.first?.node else { return nil }
    let command = Script.trial.command(
      keys: [node.names.trial(of: key)], arguments: [node.isFencing ? "1" : "0"])
    func failures(_ answers: [[Reply]]) -> [(text: String, isTransient: Bool)] {
      answers.compactMap { $0.first }.compactMap(Self.failure)
    }
    let answers = try await askQuorum([command]) { [quorumMajority] answers in
      answers.count - failures(answers).count >= quorumMajority
    }
    let failures = failures(answers)
    return answers.count - failures.count >= quorumMajority ? nil : failures.first
  }
}

extension Lock {
  /// Whether the lock is on several servers, of which a majority decides.
  package var isInQuorum: Bool { coordinator.store is QuorumStore }
}
