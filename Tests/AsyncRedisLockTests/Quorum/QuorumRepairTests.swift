import FaultProxy
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Locks of a quorum on a bare majority", .timeLimit(.minutes(4)))
struct QuorumRepairTests {
  private static let options = LockOptions(
    timeout: .seconds(20), ttl: .milliseconds(1800), extend: .milliseconds(200))

  private func expectValue(
    of lock: Lock, on server: RedisServer, _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    await eventually(within: .seconds(10), comment, sourceLocation: sourceLocation) {
      try RedisClient(server)("GET", lock.keys[0]).string == lock.token
    }
  }

  /// Waits until the locker has a server extend a lock: by then, it knows that the server has it.
  private func expectExtension(
    of lock: Lock, on server: RedisServer, sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    let client = RedisClient(server)
    let former = Shared(Int.max)
    await eventually("it is extended there", sourceLocation: sourceLocation) {
      let left = try client("PTTL", lock.keys[0]).integer ?? 0
      defer { former.value = left }
      return left > former.value
    }
  }

  @Test("A lock that was taken while a server got no new ones outlives the restart of another one")
  func rollingRestart() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker(restartDelay: .seconds(2)) {
      $0.lockOptions = Self.options
    }
    _ = try await locker.acquire(uniqueKey("warm"), options: Self.options).release()
    try quorum.servers[0].restart()
    // The locker learns of the restart by the first of these.
    let first = try await locker.acquire(uniqueKey("first"), options: Self.options)
    await expectValue(of: first, on: quorum.servers[0], "it is put there")
    // A server that restarts could give the lock to another client before it ends.
    await expectError(.invalidOptions) { try await first.extend(by: .seconds(3)) }
    let second = try await locker.acquire(uniqueKey("second"), options: Self.options)
    await expectValue(of: second, on: quorum.servers[0], "it is put there")
    try quorum.servers[1].restart()
    for lock in [first, second] {
      await expectValue(of: lock, on: quorum.servers[1], "it is put back")
      #expect(lock.isHeld)
    }
    try quorum.servers[2].restart()
    for lock in [first, second] {
      await expectValue(of: lock, on: quorum.servers[2], "it is put back")
      #expect(try await lock.release() == .released)
      await quorum.expectFree(lock.keys[0])
    }
    await locker.close()
  }

  @Test(
    "A server that was silent or away when a lock was taken gets it later",
    arguments: [Trouble.silentUntilKilled, .away, .held])
  func later(_ trouble: Trouble) async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .milliseconds(400) }
    try await locker.ping()
    let (server, key) = (quorum.servers[2], uniqueKey())
    switch trouble {
    case .silentUntilKilled: server.pause()
    case .away:
      server.kill()
      await eventually {
        try await locker.acquire(uniqueKey("a"), options: Self.options).release() == .released
      }
    case .held: try RedisClient(server)("SET", key, "foreign")
    }
    let lock = try await locker.acquire(key, options: Self.options)
    switch trouble {
    case .silentUntilKilled:
      // Its connection is given up meanwhile, with a request and an undo in it.
      try await Task.sleep(for: .milliseconds(700))
      server.kill()
      try server.restart()
    case .away: try server.restart()
    case .held: try RedisClient(server)("DEL", key)
    }
    // No other call makes the locker connect again.
    await expectValue(of: lock, on: server, "it is put there")
    await expectExtension(of: lock, on: server)
    quorum.servers[0].kill()
    // The two others are a majority.
    try await lock.extend(by: .seconds(2))
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  enum Trouble { case silentUntilKilled, away, held }

  @Test("A server that was too slow when a lock was taken gets it once the undo has been answered")
  func slow() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let (isSlow, hasTaken) = (Shared(false), Shared(false))
    let proxy = try FaultProxy(to: quorum.servers[2])
    defer { proxy.stop() }
    proxy.setScript {
      guard $0.direction == .replies, isSlow.value else { return .forward }
      // The server answers when it has done what was asked.
      if $0.command?.name == "SET" { hasTaken.value = true }
      return .delay(.milliseconds(1500))
    }
    let locker = try await quorum.locker(through: [2: proxy.url]) {
      $0.operationTimeout = .seconds(10)
    }
    try await locker.ping()
    isSlow.value = true
    // No request for it takes longer than the ttl.
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .seconds(1), extend: .milliseconds(200)))
    let client = RedisClient(quorum.servers[2])
    await eventually("it has done what was asked") { hasTaken.value }
    await eventually("but has not said so in time") {
      try client("GET", lock.keys[0]).string == nil
    }
    isSlow.value = false
    await expectValue(of: lock, on: quorum.servers[2], "it is put there")
    await expectExtension(of: lock, on: quorum.servers[2])
    quorum.servers[0].kill()
    try await lock.extend(by: .seconds(1))
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  @Test("A server that may find an undo in a broken connection gets the lock after its restart")
  func broken() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let isDeaf = Shared(false)
    let proxy = try FaultProxy(to: quorum.servers[2])
    defer { proxy.stop() }
    proxy.setScript { $0.direction == .replies && isDeaf.value ? .swallow : .forward }
    let locker = try await quorum.locker(through: [2: proxy.url]) {
      $0.operationTimeout = .milliseconds(400)
    }
    let first = try await locker.acquire(uniqueKey("first"), options: Self.options)
    await expectValue(of: first, on: quorum.servers[2], "the locker is connected to all servers")
    isDeaf.value = true
    let lock = try await locker.acquire(uniqueKey(), options: Self.options)
    await eventually("it is undone there") {
      let client = RedisClient(quorum.servers[2])
      return try client("INFO", "commandstats").string?.contains("cmdstat_del:") == true
        && client("GET", lock.keys[0]).string == nil
    }
    try await Task.sleep(for: .milliseconds(500))
    isDeaf.value = false
    let other = try await locker.acquire(uniqueKey("other"), options: Self.options)
    await expectValue(of: other, on: quorum.servers[2], "the locker is connected again")
    for _ in 0..<3 { try await lock.extend(by: .seconds(2)) }
    #expect(try RedisClient(quorum.servers[2])("GET", lock.keys[0]).string == nil)
    try quorum.servers[2].restart()
    await expectValue(of: lock, on: quorum.servers[2], "nothing can come late any more")
    #expect(try await lock.release() == .released)
    await locker.close()
  }
}
