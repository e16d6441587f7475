import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// A script that takes long blocks the server, and others lose their locks.
@Suite("Waiters for many keys", .redisServer(), .timeLimit(.minutes(1)))
struct ManyKeysTests {
  private let scripts = QueueScripts()
  private let keys = (0..<100).map { uniqueKey("many-\($0)") }

  private func poll(_ token: String) throws -> Bool {
    let answer = try scripts.run(
      "poll", scripts.names(keys), [scripts.prefix, token, "30000", "60000", "1", "0", "0"])
    return try #require(answer.array?[0].integer) > 0
  }

  private func release(_ token: String) throws {
    _ = try scripts.runWhole(.release, scripts.names(keys), [scripts.prefix, token, "1"])
  }

  /// Expects that an action has the server run a few commands for each key.
  private func expectFewCommands(_ action: () throws -> Void) throws {
    try scripts.client("CONFIG", "RESETSTAT")
    try action()
    let statistics = try scripts.client("INFO", "commandstats").string ?? ""
    let calls = statistics.split(separator: "\r\n").compactMap { line in
      line.firstRange(of: "calls=").flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
    }
    #expect(calls.reduce(0, +) < 40 * keys.count, "\(statistics)")
  }

  @Test(
    "A release passes over those that cannot be told, and hands all keys to the next, at little cost"
  )
  func release() async throws {
    let holder = QueueScripts.token("holder")
    #expect(try poll(holder))
    for number in 0..<10 { #expect(try !poll(QueueScripts.token("gone-\(number)"))) }
    let locker = try await Locker(on: .current)
    let waiting = try await queueUp(for: keys[0]) { [keys] in
      try await locker.acquire(keys, options: .patient)
    }
    try expectFewCommands { try release(holder) }
    let lock = try await waiting.value
    #expect(lock.keys.count == keys.count)
    #expect(try await lock.release() == .released)
    #expect(try scripts.holder(keys[0]) == nil)
    await locker.close()
  }

  @Test("A poll takes all free keys past those that cannot be told, at little cost")
  func poll() throws {
    let (holder, next) = (QueueScripts.token("holder"), QueueScripts.token("next"))
    #expect(try poll(holder))
    #expect(try !poll(QueueScripts.token("gone")))
    #expect(try !poll(next))
    try scripts.client(words: ["DEL"] + keys)
    try expectFewCommands {
      let isGranted = try poll(next)
      #expect(isGranted)
    }
    for key in keys { #expect(try scripts.holder(key) == next) }
  }
}
