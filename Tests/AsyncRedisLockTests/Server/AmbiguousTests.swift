import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

/// Checks what an acquisition with an unknown outcome leaves on the server.
///
/// Keys live for a minute, so only the library can have removed those that are gone.
@Suite("An acquisition without an answer", .timeLimit(.minutes(2)), .redisServer(), .serialized)
struct AmbiguousTests {
  private static let ttl = Duration.seconds(60)

  /// The ways in which a line can break.
  enum Break: String, CaseIterable, Sendable {
    case hangUp, reset

    func verdict(after count: Int) -> Fault {
      switch self {
      case .hangUp: .cut(after: count)
      case .reset: .reset(after: count)
      }
    }
  }

  @Test(
    "If the line breaks at any byte, with no time for another, no lock is left without a holder",
    arguments: FaultProxy.Direction.allCases, Break.allCases)
  func brokenAtEveryByteInAHurry(_ direction: FaultProxy.Direction, _ way: Break) async throws {
    let options = LockOptions(timeout: .milliseconds(8), ttl: Self.ttl, extend: nil)
    try await sweep(direction, stride: 3, options) { way.verdict(after: $0) }
  }

  @Test(
    "If the line falls silent at any byte, no lock is left without a holder",
    arguments: FaultProxy.Direction.allCases)
  func silentAtEveryByte(_ direction: FaultProxy.Direction) async throws {
    let options = LockOptions(timeout: .milliseconds(30), ttl: Self.ttl, extend: nil)
    try await sweep(direction, stride: 16, options) { .blackhole(after: $0) }
  }

  /// Makes a fault happen after each byte of the first acquisition on a connection, one by one.
  private func sweep(
    _ direction: FaultProxy.Direction, stride: Int, _ options: LockOptions,
    fault: @escaping @Sendable (_ bytesToPass: Int) -> Fault
  ) async throws {
    let client = RedisClient(.current)
    var position = 0
    var isThrough = false
    while !isThrough {
      try #require(position < 1000, "The sweep does not come to an end.")
      let proxy = try FaultProxy(to: .current)
      defer { proxy.stop() }
      let locker = try await Locker(url: proxy.url) { $0.operationTimeout = .milliseconds(200) }
      let start = proxy.received(direction, on: 0).count + position
      let hasHappened = Shared(false)
      proxy.setScript { chunk in
        guard chunk.direction == direction, chunk.connection == 0,
          chunk.offset + chunk.bytes.count >= start
        else { return .forward }
        hasHappened.value = true
        return fault(max(0, start - chunk.offset))
      }
      let key = uniqueKey()
      let attempt = await Attempt { try await locker.acquire(key, options: options) }
      // On a busy machine, the time can be up before there is anything to break.
      let hasFailed = attempt.value == nil
      isThrough = !hasHappened.value && !hasFailed
      if hasFailed {
        #expect(attempt.error?.code == .unreachable, "byte \(position): \(attempt.result)")
      }
      // If the line falls silent only now, the release continues in the background.
      _ = try? await attempt.value?.release()
      proxy.setScript(nil)
      try await locker.acquire(key, options: LockOptions(timeout: .seconds(10))).release()
      await eventually("nothing is left of byte \(position)") {
        try client("EXISTS", key) == .integer(0)
      }
      position += stride
    }
    #expect(position > 20, "The sweep did not reach the acquisition.")
  }

  @Test("If one reply is lost, an acquisition throws a typed error, and the next call works")
  func swallowed() async throws {
    let client = RedisClient(.current)
    for round in 0..<3 {
      let proxy = try FaultProxy(to: .current)
      defer { proxy.stop() }
      let locker = try await Locker(url: proxy.url) { $0.operationTimeout = .milliseconds(300) }
      // Breaks at once, or when the line has been in use.
      for _ in 0..<round { try await locker.acquire(uniqueKey()).release() }
      let isSwallowed = Shared(false)
      proxy.setScript { chunk in
        guard chunk.direction == .replies else { return .forward }
        return isSwallowed.exchange(true) ? .forward : .swallow
      }
      let key = uniqueKey()
      let options = LockOptions(timeout: .milliseconds(100), ttl: Self.ttl, extend: nil)
      let attempt = await Attempt { try await locker.acquire(key, options: options) }
      #expect(attempt.error?.code == .unreachable)
      try await locker.acquire(key, options: LockOptions(timeout: .seconds(5))).release()
      await eventually { try client("EXISTS", key) == .integer(0) }
    }
  }

  @Test("An acquisition that is retried after a lost reply has another token")
  func anotherToken() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url)
    proxy.setScript { message in
      message.connection == 0 && message.direction == .replies ? .cut(after: 0) : .forward
    }
    let lock = try await locker.acquire(uniqueKey(), options: .patient)
    let first = try #require(proxy.commands.first { $0.name == "SET" })
    #expect(!first.words.contains(lock.token))
    try await lock.release()
  }

  @Test("A lock is valid from its request on, however late the answer comes")
  func lateAnswer() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url)
    proxy.setScript { message in
      message.direction == .replies ? .delay(.milliseconds(400)) : .forward
    }
    let options = LockOptions(timeout: .seconds(10), ttl: .seconds(10), extend: nil)
    let lock = try await locker.acquire(uniqueKey(), options: options)
    #expect(lock.remaining < .seconds(10) - .milliseconds(400))
    proxy.setScript(nil)
    try await lock.release()
  }

  @Test("An acquisition with a garbled reply leaves nothing behind, and the next call works")
  func garbled() async throws {
    let client = RedisClient(.current)
    for text in ["garbage\r\n", "+OK\r\n:7\r\n$-1\r\n", "$-1\r\n:1\r\n$-1\r\n"] {
      let proxy = try FaultProxy(to: .current)
      defer { proxy.stop() }
      let locker = try await Locker(url: proxy.url)
      proxy.setScript { chunk in
        guard chunk.direction == .replies, chunk.connection == 0 else { return .forward }
        return .replace(Array(text.utf8))
      }
      let key = uniqueKey()
      let options = LockOptions(timeout: .milliseconds(30), ttl: Self.ttl, extend: nil)
      let attempt = await Attempt { try await locker.acquire(key, options: options) }
      if let lock = attempt.value {
        #expect(try client("GET", key).string == lock.token)
      }
      proxy.setScript(nil)
      _ = try? await attempt.value?.release()
      try await locker.acquire(key, options: LockOptions(timeout: .seconds(10))).release()
      await eventually { try client("EXISTS", key) == .integer(0) }
    }
  }

  @Test(
    "If an acquisition's request arrives late, it is undone right after it",
    arguments: [Duration.milliseconds(30), .seconds(1)])
  func late(operationTimeout: Duration) async throws {
    let (client, key) = (RedisClient(.current), uniqueKey())
    for round in 0..<10 {
      // The locker of the round before may connect again at any time.
      let proxy = try FaultProxy(to: .current)
      defer { proxy.stop() }
      let locker = try await Locker(url: proxy.url) { $0.operationTimeout = operationTimeout }
      let connection = proxy.connectionCount - 1
      let isLate = Shared(true)
      proxy.setScript { chunk in
        guard chunk.connection == connection, chunk.direction == .requests else { return .forward }
        return isLate.exchange(false) ? .delay(.milliseconds(150)) : .forward
      }
      let options = LockOptions(timeout: .milliseconds(25), ttl: Self.ttl, extend: nil)
      let attempt = await Attempt { try await locker.acquire(key, options: options) }
      #expect(attempt.error?.code == .unreachable)
      await eventually("the request arrives") {
        proxy.received(.replies, on: connection).count > 100
      }
      await eventually("round \(round)") { try client("EXISTS", key) == .integer(0) }
    }
  }

  @Test(
    "An acquisition on a stopped server leaves nothing behind when the server resumes",
    .redisServer(),
    arguments: [Duration.milliseconds(30), .seconds(1)])
  func stopped(operationTimeout: Duration) async throws {
    let server = RedisServer.current
    let client = RedisClient(server)
    let locker = try await Locker(url: server.url) { $0.operationTimeout = operationTimeout }
    let options = LockOptions(timeout: .milliseconds(25), ttl: Self.ttl, extend: nil)
    let keys = (0..<30).map { "\(uniqueKey())-\($0)" }
    for key in keys {
      server.pause()
      let attempt = await Attempt { try await locker.acquire(key, options: options) }
      server.resume()
      #expect(attempt.error?.code == .unreachable)
      try await locker.acquire(key, options: LockOptions(timeout: .seconds(10))).release()
    }
    await eventually { try client("EXISTS", "redis-lock:fence") == .integer(1) }
    await eventually { try client("DBSIZE") == .integer(1) }
  }

  @Test(
    "An acquisition that is cancelled without an answer leaves nothing behind",
    arguments: [0, 2, 4, 8, 16])
  func cancelled(milliseconds: Int) async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let (client, key) = (RedisClient(.current), uniqueKey())
    let locker = try await Locker(url: proxy.url)
    proxy.setScript { _ in .delay(.milliseconds(4)) }
    let options = LockOptions(ttl: Self.ttl, extend: nil)
    for _ in 0..<10 {
      let task = Task { try await locker.acquire(key, options: options) }
      try await Task.sleep(for: .milliseconds(milliseconds))
      task.cancel()
      do {
        try await task.value.release()
      } catch is CancellationError {
      }
    }
    // Comes after all other requests, so that a key that is left then stays for good.
    try await locker.acquire(key).release()
    await eventually { try client("EXISTS", key) == .integer(0) }
  }
}
