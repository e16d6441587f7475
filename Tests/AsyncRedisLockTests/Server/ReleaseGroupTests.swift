import AsyncRedisLock
import FaultProxy
import PrivateRedis
import Testing

@Suite(
  "Releases that go to the server in one command", .timeLimit(.minutes(2)), .redisServer(),
  .serialized)
struct ReleaseGroupTests {
  private static let count = 10
  private static let options = LockOptions(timeout: .seconds(10), ttl: .seconds(60), extend: nil)

  private let client = RedisClient(.current)

  /// Locks whose connection is gone, so that releases gather until there is another connection.
  private struct Stage {
    let proxy: FaultProxy
    let locker: Locker
    let locks: [Lock]

    var keys: [String] { locks.map { $0.keys[0] } }

    /// Releases all locks while nothing can be sent, then lets the next connection be made.
    func release() async throws -> [Attempt<ReleaseOutcome>] {
      try await withThrowingTaskGroup { group in
        for (index, lock) in locks.enumerated() {
          group.addTask { (index, await Attempt { try await lock.release() }) }
          // In this order.
          await eventually { !lock.isHeld }
        }
        proxy.refuse(false)
        var attempts: [Int: Attempt<ReleaseOutcome>] = [:]
        for try await (index, attempt) in group { attempts[index] = attempt }
        return locks.indices.compactMap { attempts[$0] }
      }
    }
  }

  private func prepare(
    _ options: @Sendable (Int) -> LockOptions = { _ in options }
  ) async throws -> Stage {
    let proxy = try FaultProxy(to: .current)
    let locker = try await Locker(url: proxy.url) { $0.operationTimeout = .seconds(10) }
    var locks: [Lock] = []
    for index in 0..<Self.count {
      locks.append(try await locker.acquire(uniqueKey(), options: options(index)))
    }
    return Stage(proxy: proxy, locker: locker, locks: locks)
  }

  private func disconnect(_ stage: Stage) {
    stage.proxy.refuse(true)
    // Not by the server: the proxy would pass that on a moment later, and the first release could be sent by then.
    stage.proxy.strike(.cut(after: 0))
  }

  private static func isGroup(_ command: FakeCommand) -> Bool {
    command.name.hasPrefix("EVAL") && command.words[2] == "\(2 * count)"
  }

  private func expectGone(_ stage: Stage) async {
    let keys = stage.keys
    await eventually { try keys.allSatisfy { try client("EXISTS", $0) == .integer(0) } }
  }

  @Test("Each release of a group has its own outcome, and hands on to its waiter")
  func outcomes() async throws {
    let stage = try await prepare()
    defer { stage.proxy.stop() }
    let (keys, other) = (stage.keys, try await Locker())
    disconnect(stage)
    try client("SET", keys[3], "another's")
    try client("DEL", keys[5])
    let next = Task { try await other.acquire(keys[7], options: Self.options) }
    await eventually { try client("EXISTS", "redis-lock:queue:{\(keys[7])}") == .integer(1) }
    let outcomes = try await stage.release().map { try $0.result.get() }
    for (index, outcome) in outcomes.enumerated() {
      let expected: ReleaseOutcome =
        index == 3 ? .takenByAnother : index == 5 ? .deleted : .released
      #expect(outcome == expected, "release \(index)")
    }
    let sent = stage.proxy.commands.filter { $0.name.hasPrefix("EVAL") }
    #expect(sent.count(where: Self.isGroup) >= 1)
    // The keys that the group left as they were.
    let single = sent.filter { $0.words[2] == "4" }
    #expect(Set(single.map { $0.words[3] }) == [keys[3], keys[5], keys[7]])
    #expect(try client("GET", keys[3]).string == "another's")
    #expect(try await next.value.release() == .released)
  }

  @Test("Releases of a group whose answer is lost return released, even if a key has a new holder")
  func answerLost() async throws {
    let stage = try await prepare()
    defer { stage.proxy.stop() }
    let (client, key) = (client, stage.keys[4])
    disconnect(stage)
    let hasBeenLost = Shared(false)
    stage.proxy.setScript { message in
      guard message.direction == .replies, let command = message.command,
        Self.isGroup(command), !hasBeenLost.value,
        try! client("EXISTS", key) == .integer(0)
      else { return .forward }
      hasBeenLost.value = true
      _ = try? client("SET", key, "another's")
      return .cut(after: 0)
    }
    for attempt in try await stage.release() { #expect(attempt.value == .released) }
    #expect(hasBeenLost.value)
    #expect(try client("GET", key).string == "another's")
  }

  @Test(
    "If the server refuses a group, its releases are sent one by one",
    arguments: ["NOPERM this user has no permissions to access one of the keys", "ERR no"])
  func refused(error: String) async throws {
    let stage = try await prepare()
    defer { stage.proxy.stop() }
    disconnect(stage)
    stage.proxy.setScript { message in
      guard let command = message.command, Self.isGroup(command) else { return .forward }
      guard message.direction == .replies else {
        // A refused script does not run at all; another may have run in part.
        let isRefused = error.hasPrefix("NOPERM")
        return isRefused ? .replace(Array("*1\r\n$4\r\nPING\r\n".utf8)) : .forward
      }
      return .replace(Array("-\(error)\r\n".utf8))
    }
    for attempt in try await stage.release() { #expect(attempt.value == .released) }
    await expectGone(stage)
  }

  @Test("A nonsensical answer to a group is an error for each release, and the keys are given back")
  func nonsense() async throws {
    let stage = try await prepare()
    defer { stage.proxy.stop() }
    disconnect(stage)
    stage.proxy.setScript { message in
      guard let command = message.command, Self.isGroup(command) else { return .forward }
      // The server never receives it.
      if message.direction == .requests { return .replace(Array("*1\r\n$4\r\nPING\r\n".utf8)) }
      return .replace(Array("*2\r\n:\(command.words.last ?? "")\r\n*1\r\n:11\r\n".utf8))
    }
    for attempt in try await stage.release() { #expect(attempt.error?.code == .unreachable) }
    await expectGone(stage)
  }

  @Test("If the first release of a group fails, the others keep their own deadlines")
  func deadlines() async throws {
    let stage = try await prepare { index in
      index == 0 ? LockOptions(ttl: .seconds(2), extend: nil) : Self.options
    }
    defer { stage.proxy.stop() }
    disconnect(stage)
    stage.proxy.setScript { message in
      message.direction == .requests && message.command.map(Self.isGroup) == true
        ? .swallow : .forward
    }
    let attempts = try await stage.release()
    #expect(stage.proxy.faultCounts["swallowed"] == 1)
    #expect(attempts[0].error?.code == .unreachable)
    for attempt in attempts.dropFirst() { #expect(attempt.value == .released) }
    await expectGone(stage)
  }
}
