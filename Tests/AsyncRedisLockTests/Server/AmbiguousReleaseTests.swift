import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

/// Keys live for a minute, so only the library can have removed those that are gone.
@Suite(
  "A lock on a server that does not answer", .timeLimit(.minutes(2)), .redisServer(), .serialized)
struct AmbiguousReleaseTests {
  private static let options = LockOptions(
    timeout: .seconds(10), ttl: .seconds(60), extend: nil)

  private let client = RedisClient(.current)

  /// A lock that is taken through a proxy.
  private struct Held {
    let proxy: FaultProxy
    let locker: Locker
    let lock: Lock
    var key: String { lock.keys[0] }
  }

  private func hold(
    _ options: LockOptions = options, operationTimeout: Duration = .seconds(5)
  ) async throws -> Held {
    let proxy = try FaultProxy(to: .current)
    let locker = try await Locker(url: proxy.url) { $0.operationTimeout = operationTimeout }
    // After this, the server knows the scripts.
    try await locker.acquire(uniqueKey(), options: options).release()
    return Held(
      proxy: proxy, locker: locker,
      lock: try await locker.acquire(uniqueKey(), options: options))
  }

  // MARK: Release

  @Test("A release whose answer is lost returns released, even if another has the lock since")
  func takenMeanwhile() async throws {
    let held = try await hold()
    defer { held.proxy.stop() }
    let (client, key) = (client, held.key)
    held.proxy.setScript { chunk in
      if chunk.connection == 0 { return chunk.direction == .replies ? .cut(after: 0) : .forward }
      _ = try? client("SET", key, "another's", "NX")
      return .forward
    }
    #expect(try await held.lock.release() == .released)
    #expect(try client("GET", key).string == "another's")
  }

  @Test("A release whose answer is lost returns released, even if the server was loading then")
  func takenWhileLoading() async throws {
    let held = try await hold()
    defer { held.proxy.stop() }
    let (client, key) = (client, held.key)
    held.proxy.setScript { message in
      guard message.direction == .replies else { return .forward }
      if message.connection == 0 { return .cut(after: 0) }
      guard message.connection == 1, message.command?.name == "EVALSHA",
        (try? client("SET", key, "another's", "NX"))?.string == "OK"
      else { return .forward }
      return .replace(Array("-LOADING Redis is loading the dataset in memory\r\n".utf8))
    }
    #expect(try await held.lock.release() == .released)
    #expect(try client("GET", key).string == "another's")
  }

  @Test("A release does not return released if the lock had been taken away before")
  func takenBefore() async throws {
    let held = try await hold()
    defer { held.proxy.stop() }
    try client("SET", held.key, "another's")
    #expect(try await held.lock.release() == .takenByAnother)
    #expect(try client("GET", held.key).string == "another's")
  }

  @Test(
    "A release does not return released if the lock was taken away before a reconnect",
    .redisServer())
  func takenBeforeReconnecting() async throws {
    let (client, locker) = (RedisClient(.current), try await Locker())
    for value in ["another's", nil] {
      let lock = try await locker.acquire(uniqueKey(), options: Self.options)
      if let value {
        try client("SET", lock.keys[0], value)
      } else {
        try client("DEL", lock.keys[0])
      }
      // The release is first sent over the next connection.
      try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      #expect(try await lock.release() == (value == nil ? .deleted : .takenByAnother))
    }
  }

  @Test(
    "A release without an answer fails in time, but is still executed",
    arguments: [false, true])
  func releaseUnanswered(requestArrives: Bool) async throws {
    let held = try await hold(operationTimeout: .milliseconds(200))
    defer { held.proxy.stop() }
    let hasBroken = held.proxy.setFault(requestArrives ? .replies : .requests) { _ in
      .blackhole(after: 0)
    }
    let attempt = await Attempt { try await held.lock.release() }
    #expect(hasBroken())
    try await expectBackgroundRelease(of: held, after: attempt)
  }

  @Test("If the server is unreachable, a release fails and is executed later")
  func releaseWhileAway() async throws {
    let held = try await hold(operationTimeout: .milliseconds(200))
    defer { held.proxy.stop() }
    held.proxy.setScript { _ in .cut(after: 0) }
    // Uses up the connection, so that the release is never sent.
    await #expect(throws: LockError.self) { try await held.locker.inspect(held.key) }
    let attempt = await Attempt { try await held.lock.release() }
    #expect(try client("EXISTS", held.key) == .integer(1))
    held.proxy.setScript(nil)
    try await expectBackgroundRelease(of: held, after: attempt)
  }

  private func expectBackgroundRelease(
    of held: Held, after attempt: Attempt<ReleaseOutcome>
  ) async throws {
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.phase == .release)
    #expect(attempt.duration < .inTime)
    #expect(!held.lock.isHeld)
    let (client, key) = (client, held.key)
    await eventually("the key is gone") { try client("EXISTS", key) == .integer(0) }
    // Only this lock has freed the key.
    #expect(try await held.lock.release() == .released)
  }

  @Test("A lock that was dropped together with its locker is released")
  func droppedWithLocker() async throws {
    let keys = (0..<10).map { _ in uniqueKey() }
    for key in keys {
      let locker = try await Locker(url: RedisServer.current.url)
      _ = try await locker.acquire(key, options: Self.options)
    }
    await eventually { try keys.allSatisfy { try client("EXISTS", $0) == .integer(0) } }
  }

  @Test("A lock is given back when its locker is closed while it is being taken", arguments: 0..<10)
  func closedMeanwhile(_ round: Int) async throws {
    let keys = (0..<50).map { _ in uniqueKey() }
    let locker = try await Locker(url: RedisServer.current.url)
    await withTaskGroup { group in
      for key in keys {
        group.addTask {
          // Kept until the end, so that the release does not come from dropping the handle.
          try? await locker.acquire(key, options: Self.options)
        }
      }
      group.addTask {
        try? await Task.sleep(for: .microseconds(200 * round))
        await locker.close()
        return nil
      }
      var locks: [Lock?] = []
      for await lock in group { locks.append(lock) }
      await eventually { try keys.allSatisfy { try client("EXISTS", $0) == .integer(0) } }
      #expect(locks.allSatisfy { $0?.isHeld != true })
    }
  }

  // MARK: Extension

  @Test("A lock survives extensions whose answers are lost")
  func survives() async throws {
    let options = LockOptions(ttl: .seconds(2), extend: .milliseconds(100))
    let held = try await hold(options, operationTimeout: .milliseconds(300))
    defer { held.proxy.stop() }
    let firstEnd = ContinuousClock.now + .seconds(2)
    // The first three connections break during the first answer, each in a different way.
    held.proxy.setScript { chunk in
      guard chunk.direction == .replies, chunk.commands.contains(where: { $0.name == "EVALSHA" })
      else { return .forward }
      switch chunk.connection {
      case 0: return .cut(after: 0)
      case 1: return .reset(after: 2)
      case 2: return .blackhole(after: 0)
      default: return .forward
      }
    }
    await eventually { ContinuousClock.now + held.lock.remaining > firstEnd + .milliseconds(100) }
    #expect(held.lock.isHeld)
    #expect(held.lock.lossReason == nil)
    #expect(held.proxy.connectionCount >= 4)
    #expect(try await held.lock.release() == .released)
  }

  @Test(
    "If no extension is answered, the lock is lost at the end of its validity",
    arguments: [false, true])
  func lost(requestArrives: Bool) async throws {
    let options = LockOptions(ttl: .milliseconds(400), extend: .milliseconds(100))
    let held = try await hold(options, operationTimeout: .milliseconds(150))
    defer { held.proxy.stop() }
    let end = ContinuousClock.now + held.lock.remaining
    held.proxy.setScript { chunk in
      let isAffected = chunk.direction == (requestArrives ? .replies : .requests)
      return isAffected ? .swallow : .forward
    }
    try await held.lock.waitUntilLost()
    let late = end.duration(to: .now)
    #expect(!held.lock.isHeld)
    #expect(held.lock.lossReason == .expired)
    #expect(late >= .milliseconds(-1))
    #expect(late < .inTime)
  }
}

extension FaultProxy {
  /// Makes a fault happen once, to the chunk with a certain byte after those received so far.
  ///
  /// The fault concerns the first connection. Returns whether it has happened.
  fileprivate func setFault(
    _ direction: Direction, afterMore count: Int = 0,
    _ fault: @escaping @Sendable (_ bytesToPass: Int) -> Fault
  ) -> @Sendable () -> Bool {
    let start = received(direction, on: 0).count + count
    let hasHappened = Shared(false)
    setScript { chunk in
      guard chunk.direction == direction, chunk.connection == 0,
        chunk.offset + chunk.bytes.count >= start
      else { return .forward }
      hasHappened.value = true
      return fault(max(0, start - chunk.offset))
    }
    return { hasHappened.value }
  }
}
