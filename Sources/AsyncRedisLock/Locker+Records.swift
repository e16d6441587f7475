extension Locker {
  /// Leaves a record of a run beside each key of its lock, or notes in it how the run has ended.
  ///
  /// - Parameters:
  ///   - lock: The lock, which may have ended.
  ///   - held: How long it has been held so far.
  ///   - kept: How long the record is kept from now on.
  ///   - end: How the run has ended, in one word, and the exit status; nil while it goes on.
  /// - Throws: ``LockError`` if the server does not store the record; the lock is unaffected.
  package func record(
    _ lock: Lock, held: Duration, keptFor kept: Duration, end: (cause: String, status: Int32)? = nil
  ) async throws {
    let arguments =
      [
        lock.token, String(kept.wholeMilliseconds), String(held.wholeMilliseconds),
        lock.fencingToken.map(String.init) ?? "",
      ] + (end.map { [$0.cause, String($0.status)] } ?? [])
    guard let store = coordinator.store as? RedisLockStore else {
      return try await recordInQuorum(lock, arguments: arguments)
    }
    let names = store.node(of: lock.keys).names
    let replies = try await ask(
      lock.keys.map { Script.record.command(keys: [names.record(of: $0)], arguments: arguments) },
      about: lock.keys.first)
    if let error = replies.lazy.compactMap(\.error).first {
      throw LockError(StoreFailure(error), keys: lock.keys, phase: .acquire)
    }
  }

  /// The records of keys; nil for each key without a record.
  package func records(of keys: [String]) async throws -> [RunRecord?] {
    guard let store = coordinator.store as? RedisLockStore else {
      return try await recordsInQuorum(of: keys)
    }
    let count = RunRecord.fields.count
    func commands(for key: String) -> [Command] {
      let name = store.node(of: [key]).names.record(of: key)
      return RunRecord.fields.map { Command(["HGET", name, $0]) }
    }
    guard !isInCluster else {
      var records: [RunRecord?] = []
      for key in keys { records.append(RunRecord(try await ask(commands(for: key), about: key))) }
      return records
    }
    let replies = try await ask(keys.flatMap(commands))
    return keys.indices.map { RunRecord(replies[$0 * count..<($0 + 1) * count]) }
  }

  /// The patterns that the names of the records match whose keys match a pattern.
  package func recordPatterns(forKeys pattern: String) -> [String] {
    let start = keyPrefix.escapedForPattern + "record:"
    guard pattern != "*" else { return [start + "*"] }
    return ["\(start){\(pattern)}", "\(start):\(pattern)"]
      + (isInCluster ? ["\(start){[0-9]*}:\(pattern)"] : [])
  }

  /// The key that a record is about, by the record's name; nil if that is not the name of a record.
  package func key(ofRecord name: String) -> String? {
    ServerKeys.key(ofRecord: name, prefix: keyPrefix, inCluster: isInCluster)
  }

  /// When waiters for a key took their places, by the server's clock, in milliseconds since 1970.
  ///
  /// Nil for a waiter that has none, or that an earlier version has entered.
  package func arrivals(of tokens: [String], waitingFor key: String) async throws -> [Int64?] {
    guard let store = coordinator.store as? RedisLockStore, !tokens.isEmpty else {
      return tokens.map { _ in nil }
    }
    let entries = store.node(of: [key]).names.entries(of: key)
    let commands = tokens.map { Command(["HGET", entries, $0 + "@"]) }
    return try await ask(commands, about: key).map { reply in
      if case .string(let text) = reply { RunRecord.time(text) } else { nil }
    }
  }

  /// The server's time, in milliseconds since 1970; nil if it does not say.
  package func serverTime() async throws -> Int64? {
    guard coordinator.store is RedisLockStore else { return try await quorumTime() }
    return Self.time(try await ask([["TIME"]]).first)
  }

  /// The time in an answer to `TIME`.
  static func time(_ reply: Reply?) -> Int64? {
    guard case .array(let parts)? = reply, parts.count == 2,
      case .string(let seconds) = parts[0], case .string(let microseconds) = parts[1],
      let seconds = Int64(seconds), let microseconds = Int64(microseconds),
      (0...Int64(UInt32.max)).contains(seconds)
    else { return nil }
    return seconds * 1000 + microseconds / 1000
  }
}

extension Lock {
  /// The length of the longest possible token, in bytes.
  package static var longestToken: Int { LockToken.maximumLength }

  /// How long the server may take to answer, by the locker's configuration.
  package var operationTimeout: Duration { coordinator.operationTimeout }

  /// Why the last automatic extension failed, in words; nil if it succeeded.
  package var extensionTrouble: String? { lease.trouble }

  /// Why the lock is lost, as the end of a sentence; nil if it is not.
  package var lossExplanation: String? { lease.lossExplanation }

  /// Whether the lock ends at the time that ``LockOptions/maxHold`` sets, even if it is extended.
  package var isLimitedByMaxHold: Bool {
    let state = lease.state
    return state.validUntil == state.holdEnd
  }
}
