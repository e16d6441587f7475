import FaultProxy
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Locks that replicas have to acknowledge", .timeLimit(.minutes(2)))
struct AcknowledgementTests {
  private static let long = LockOptions(
    retry: .seconds(20), timeout: .seconds(20), ttl: .seconds(30), extend: .seconds(10))

  /// The wait within which there is no acknowledgement.
  private static func short(_ timeout: Duration) -> LockOptions {
    LockOptions(timeout: timeout, ttl: .seconds(30), extend: nil)
  }

  /// Expects the failure of an operation that too few replicas have confirmed.
  private func expectRefusal<Value>(
    _ attempt: Attempt<Value>, isRetryable: Bool = true,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = attempt.error
    #expect(error?.code == .refused, "\(attempt.result)", sourceLocation: sourceLocation)
    #expect(error?.serverCode == "NOREPLICAS", "\(attempt.result)", sourceLocation: sourceLocation)
    #expect(error?.isRetryable == isRetryable, sourceLocation: sourceLocation)
    #expect(
      error?.message.contains("not acknowledged") == true, "\(attempt.result)",
      sourceLocation: sourceLocation)
  }

  // MARK: With all replicas

  @Test("When a call returns a lock, all replicas have it, however it was acquired")
  func allKinds() async throws {
    let server = try await ReplicatedServer(replicas: 2)
    defer { server.stop() }
    let (locker, other) = (try await server.locker(2), try await server.locker(2))
    func expectReplicated(
      _ lock: Lock, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      for replica in server.replicas {
        for key in lock.keys {
          // Not sooner or later, but now.
          #expect(try replica.value(of: key) == lock.token, sourceLocation: sourceLocation)
        }
      }
    }
    // One key, several keys, by a further request, and without fencing.
    for _ in 0..<20 {
      let lock = try await locker.acquire(uniqueKey(), options: Self.long)
      try expectReplicated(lock)
      try await lock.release()
    }
    let pair = try await locker.acquire([uniqueKey("a"), uniqueKey("b")], options: Self.long)
    try expectReplicated(pair)

    // A lock that the server hands over.
    let key = uniqueKey()
    let first = try await locker.acquire(key, options: Self.long)
    let waiting = Task { try await other.acquire(key, options: Self.long) }
    await eventually("it waits") { try server.primary.queue(of: key).count == 1 }
    try await first.release()
    let second = try await waiting.value
    try expectReplicated(second)
    #expect(second.fencingToken ?? 0 > first.fencingToken ?? .max)

    // A lock that is handed on in the process.
    let next = Task { try await other.acquire(key, options: Self.long) }
    await eventually("numbers are drawn") {
      other.coordinator.queues.numbersWanted(LockKeys(checked: [key])) > 1
    }
    try await second.extend(by: .seconds(30))
    try await second.release()
    let third = try await next.value
    try expectReplicated(third)

    // A lock that another process leaves.
    let detached = try await third.detach()
    let adopted = try await locker.adopt(detached, options: Self.long)
    try expectReplicated(adopted)
    #expect(adopted.token != third.token)

    // An extension.
    try await adopted.extend(by: .seconds(600))
    for replica in server.replicas {
      #expect(try RedisClient(replica)("PTTL", key).integer ?? 0 > 500_000)
    }
    #expect(try await adopted.release() == .released)
    #expect(try await pair.release() == .released)

    // One round serves many operations.
    let rounds = try server.primary.calls("wait")
    let locks = try await withThrowingTaskGroup(of: Lock.self, returning: [Lock].self) { group in
      for number in 0..<200 {
        group.addTask { try await locker.acquire("many-\(number)", options: Self.long) }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    for lock in locks { try expectReplicated(lock) }
    #expect(try server.primary.calls("wait") - rounds < 100)
    for lock in locks { try await lock.release() }
    // Without the option, the server is asked nothing more.
    let plain = try await Locker(url: server.primary.url)
    let before = try server.primary.calls("wait", "info")
    try await plain.acquire(uniqueKey()).release()
    // This call asks once itself.
    #expect(try server.primary.calls("wait", "info") == before + 1)
    for locker in [locker, other, plain] { await locker.close() }
    await eventually("no connection is left") {
      try RedisClient(server.primary)("CLIENT", "LIST", "TYPE", "normal").string?
        .contains("async-redis-lock") == false
    }
  }

  // MARK: With too few

  @Test(
    "While a replica is stopped, a lock that needs it is given back and refused, and one that does not is had"
  )
  func stoppedReplica() async throws {
    let server = try await ReplicatedServer(replicas: 2)
    defer { server.stop() }
    let (all, some) = (
      try await server.locker(2, timeout: .milliseconds(400)), try await server.locker(1)
    )
    let held = try await all.acquire(uniqueKey("held"), options: Self.long)
    server.replicas[0].pause()
    let key = uniqueKey()
    let start = ContinuousClock.now
    async let refused = Attempt { try await all.acquire(key, options: Self.short(.seconds(1))) }
    async let second = Attempt { try await all.acquireIfAvailable("other", options: Self.long) }
    async let extended = Attempt { try await held.extend(by: .seconds(600)) }
    // A round that waits does not keep other requests waiting.
    await eventually("a round waits") { try server.primary.isWaitingForReplicas }
    let ping = await Attempt { try await all.ping() }
    #expect(ping.duration < .milliseconds(300))
    expectRefusal(await refused)
    expectRefusal(await second)
    expectRefusal(await extended)
    #expect(ContinuousClock.now - start < .inTime)
    #expect(held.isHeld && held.remaining < .seconds(31))
    for key in [key, "other"] {
      await eventually("nothing is left") { try !server.primary.hasKey(key) }
    }
    let lock = try await some.acquire(key, options: Self.long)
    #expect(try server.replicas[1].value(of: key) == lock.token)
    try await lock.release()

    // The call goes on trying until the replica is there again.
    let retried = Task { try await all.acquire(key, options: Self.long) }
    await eventually("a round waits") { try server.primary.isWaitingForReplicas }
    server.replicas[0].resume()
    #expect(try await retried.value.release() == .released)
    try await held.extend(by: .seconds(600))
    #expect(held.remaining > .seconds(500))
    for locker in [all, some] { await locker.close() }
  }

  @Test(
    "While the link to the replica is cut, extensions do not count, and locks end with their ttl")
  func cutLink() async throws {
    let server = try await ReplicatedServer(replicas: 1)
    defer { server.stop() }
    let locker = try await server.locker(1, timeout: .milliseconds(300))
    let waiter = try await server.locker(1, timeout: .milliseconds(300))
    let plain = try await Locker(url: server.primary.url)
    let options = LockOptions(
      timeout: .seconds(1), ttl: .milliseconds(1500), extend: .milliseconds(200))
    let (key, contended) = (uniqueKey(), uniqueKey("contended"))
    let (lock, other) = (
      try await locker.acquire(key, options: options), try await plain.acquire(contended)
    )
    await eventually("it is extended") { lock.remaining < .milliseconds(1300) }
    await eventually("it is extended") { lock.remaining > .milliseconds(1350) }
    let waiting = Task { await Attempt { try await waiter.acquire(contended, options: options) } }
    await eventually("it waits") { try server.primary.queue(of: contended).count == 1 }
    server.links[0].fallSilent()
    // The server grants it, and the replica never hears of that.
    try await other.release()
    let start = ContinuousClock.now
    expectRefusal(await waiting.value)
    await eventually("it is given back") { try !server.primary.hasKey(contended) }
    #expect(try server.primary.queue(of: contended).isEmpty)
    await eventually("the lock is lost") { !lock.isHeld }
    #expect(lock.lossReason == .expired)
    #expect(ContinuousClock.now - start < .milliseconds(2500))
    for locker in [locker, waiter, plain] { await locker.close() }
    await eventually("nothing is left") { try !server.primary.hasKey(key) }
  }

  @Test("An adoption without acknowledgement gives the lock back, and is not repeated")
  func adoption() async throws {
    let server = try await ReplicatedServer(replicas: 1)
    defer { server.stop() }
    let locker = try await server.locker(1, timeout: .milliseconds(300))
    let key = uniqueKey()
    let detached = try await locker.acquire(key, options: Self.long).detach()
    server.replicas[0].pause()
    expectRefusal(
      await Attempt { try await locker.adopt(detached, options: Self.long) }, isRetryable: false)
    await eventually("nothing is left") { try !server.primary.hasKey(key) }
    await locker.close()
  }

  @Test("If the task is cancelled or the locker closed while a round waits, nothing is left")
  func givenUp() async throws {
    let server = try await ReplicatedServer(replicas: 1)
    defer { server.stop() }
    // The next round's answer would take until the test is over.
    let locker = try await server.locker(1, timeout: .seconds(60))
    server.replicas[0].pause()
    let (first, second) = (uniqueKey("first"), uniqueKey("second"))
    let cancelled = Task { try await locker.acquire(first, options: Self.long) }
    await eventually("a round waits") { try server.primary.isWaitingForReplicas }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    await eventually("nothing is left") { try !server.primary.hasKey(first) }

    let closed = Task { await Attempt { try await locker.acquire(second, options: Self.long) } }
    await eventually("it has the key") { try server.primary.hasKey(second) }
    let closing = await Attempt { await locker.close() }
    #expect(closing.duration < .inTime)
    #expect(await closed.value.error?.code == .closed)
    #expect(try !server.primary.hasKey(second))
    await eventually("no connection is left") {
      try RedisClient(server.primary)("CLIENT", "LIST", "TYPE", "normal").string?
        .contains("async-redis-lock") == false
    }
  }

  // MARK: Other servers

  @Test("Replicas of another server acknowledge nothing")
  func anotherServer() async throws {
    let server = try await ReplicatedServer(replicas: 1)
    let stranger = try await ReplicatedServer(replicas: 1)
    let address = server.primary.directory + "/current"
    let near = try FaultProxy(to: server.primary, .unixSocket, isRecording: false)
    let far = try FaultProxy(to: stranger.primary, .unixSocket, isRecording: false)
    defer {
      for proxy in [near, far] { proxy.stop() }
      for server in [server, stranger] { server.stop() }
    }
    func lead(to proxy: FaultProxy) throws {
      try? FileManager.default.removeItem(atPath: address)
      try FileManager.default.createSymbolicLink(
        atPath: address, withDestinationPath: String(proxy.url.trimmingPrefix("unix://")))
    }
    try lead(to: near)
    let locker = try await server.locker(1, timeout: .milliseconds(500), at: "unix://\(address)")
    try await locker.acquire(uniqueKey(), options: Self.long).release()
    // The next connection leads elsewhere, and the replica here is gone.
    try lead(to: far)
    server.replicas[0].pause()
    await eventually("rounds are made elsewhere") {
      for client in try server.primary.clients(running: "wait|info") {
        try RedisClient(server.primary)("CLIENT", "KILL", "ID", client)
      }
      _ = try? await locker.acquireIfAvailable("probe", options: Self.short(.milliseconds(1)))
      return try stranger.primary.calls("wait") > 0
    }
    let key = uniqueKey()
    let attempt = await Attempt { try await locker.acquire(key, options: Self.short(.seconds(1))) }
    expectRefusal(attempt)
    #expect(attempt.error?.message.contains("another server") == true, "\(attempt.result)")
    await eventually("nothing is left") { try !server.primary.hasKey(key) }
    try lead(to: near)
    server.replicas[0].resume()
    try await locker.acquire(key, options: Self.long).release()
    await locker.close()
  }

  // MARK: On a bad line

  /// What happens to a message of a round.
  enum Damage: CaseIterable {
    case swallowedReply, doubledReply, cutRequest, cutReply, silence

    func fault(for message: FaultProxy.Message) -> Fault? {
      let isWait = message.command?.name == "WAIT"
      switch (self, message.direction) {
      case (.swallowedReply, .replies): return isWait ? .swallow : nil
      case (.doubledReply, .replies): return isWait ? .duplicate : nil
      case (.cutReply, .replies): return isWait ? .cut(after: 1) : nil
      case (.cutRequest, .requests): return isWait ? .cut(after: 5) : nil
      case (.silence, .requests): return isWait ? .blackhole(after: 0) : nil
      default: return nil
      }
    }
  }

  @Test(
    "If a round is damaged, its lock is had by another round or given back, and the next lock is had"
  )
  func damagedRounds() async throws {
    let server = try await ReplicatedServer(replicas: 1)
    defer { server.stop() }
    try await withThrowingTaskGroup { group in
      for damage in Damage.allCases {
        group.addTask { try await damageRound(damage, at: server) }
      }
      try await group.waitForAll()
    }
  }

  private func damageRound(_ damage: Damage, at server: ReplicatedServer) async throws {
    let proxy = try FaultProxy(to: server.primary)
    defer { proxy.stop() }
    let locker = try await server.locker(1, timeout: .milliseconds(700), at: proxy.url)
    try await locker.acquire(uniqueKey(), options: Self.long).release()
    let hasHappened = Shared(false)
    proxy.setScript { message in
      guard let fault = damage.fault(for: message), !hasHappened.exchange(true) else {
        return .forward
      }
      return fault
    }
    let key = uniqueKey()
    let attempt = await Attempt {
      try await locker.acquire(key, options: Self.short(.milliseconds(600)))
    }
    #expect(hasHappened.value, "\(damage)")
    if let lock = attempt.value {
      #expect(try server.replicas[0].value(of: key) == lock.token, "\(damage)")
      #expect(try await lock.release() == .released, "\(damage)")
    } else {
      expectRefusal(attempt)
    }
    await eventually("nothing is left after \(damage)") { try !server.primary.hasKey(key) }
    let next = try await locker.acquire(key, options: Self.long)
    #expect(try server.replicas[0].value(of: key) == next.token, "\(damage)")
    try await next.release()
    await locker.close()
  }

  // MARK: Permissions

  @Test("A user needs WAIT and INFO for it, and is told so")
  func permissions() async throws {
    let server = try await ReplicatedServer(replicas: 1)
    defer { server.stop() }
    let client = RedisClient(server.primary)
    let rules = try LeastPrivilege.rules().filter { !$0.hasPrefix("~") } + ["~*"]
    for (user, more) in [("none", []), ("wait", ["+wait"]), ("both", ["+wait", "+info"])] {
      try client(words: ["ACL", "SETUSER", user] + rules + more)
      let locker = try await server.locker(
        1, at: "redis://\(user):secret@127.0.0.1:\(server.primary.port ?? 0)")
      let attempt = await Attempt { try await locker.acquire(uniqueKey(), options: Self.long) }
      if user == "both" {
        #expect(try await attempt.value?.release() == .released, "\(attempt.result)")
      } else {
        #expect(attempt.error?.serverCode == "NOPERM", "\(attempt.result)")
        #expect(attempt.error?.isRetryable == false)
        #expect(attempt.error?.message.contains("info") == true, "\(attempt.result)")
        #expect(attempt.duration < .inTime)
        // Once it is allowed, no new connection is needed.
        try client(words: ["ACL", "SETUSER", user, "+wait", "+info"])
        await eventually("it is allowed") {
          try await locker.acquire(uniqueKey(), options: Self.long).release()
          return true
        }
      }
      await locker.close()
    }
  }
}

extension RedisServer {
  /// Whether a client waits for replicas.
  fileprivate var isWaitingForReplicas: Bool {
    get throws {
      try RedisClient(self)("INFO", "clients").string?.contains("blocked_clients:0") == false
    }
  }

  /// The identities of the clients whose last command was one of these.
  fileprivate func clients(running commands: String) throws -> [String] {
    let lines = try RedisClient(self)("CLIENT", "LIST").string?.split(separator: "\n") ?? []
    return lines.filter { line in
      line.contains("name=async-redis-lock")
        && commands.split(separator: "|").contains { line.contains(" cmd=\($0) ") }
    }.compactMap { $0.dropFirst("id=".count).split(separator: " ").first.map(String.init) }
  }
}
