import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

@Suite("A lock during its extensions", .timeLimit(.minutes(5)), .redisServer(), .serialized)
struct RaceTests {
  private let client = RedisClient(.current)

  @Test(
    "If a handle is dropped during an extension, the lock is released and no longer extended",
    arguments: 0..<5)
  func dropped(round: Int) async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url)
    // An extension is under way nearly all the time.
    proxy.setScript { chunk in chunk.direction == .replies ? .delay(.milliseconds(60)) : .forward }
    weak var handle: Lock?
    var lock: Lock? = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .seconds(60), extend: .milliseconds(20)))
    handle = lock
    let (key, token) = (try #require(lock?.keys[0]), try #require(lock?.token))
    try await Task.sleep(for: .milliseconds(70 + 15 * round))
    lock = nil
    #expect(handle == nil, "no other reference may keep the handle")
    await eventually { try client("EXISTS", key) == .integer(0) }
    try expectNoExtension(of: token, afterReleaseIn: proxy)
    try await locker.acquire(key).release()
  }

  @Test("A lock that is released at any instant of an extension is no longer extended")
  func released() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    proxy.setScript { chunk in chunk.direction == .replies ? .delay(.milliseconds(3)) : .forward }
    let locker = try await Locker(url: proxy.url)
    var extensions = 0
    for _ in 0..<100 {
      let lock = try await locker.acquire(
        uniqueKey(), options: LockOptions(ttl: .milliseconds(200), extend: .milliseconds(5)))
      let byHand = Task { try? await lock.extend(by: .milliseconds(300)) }
      try await Task.sleep(for: .microseconds(Int.random(in: 0...20_000)))
      let outcome = try await lock.release()
      #expect(outcome == .released || outcome == .expired)
      #expect(!lock.isHeld)
      await byHand.value
      #expect(!lock.isHeld, "an extension that was under way does not bring it back")
      #expect(try client("EXISTS", lock.keys[0]) == .integer(0))
      extensions += try expectNoExtension(of: lock.token, afterReleaseIn: proxy)
    }
    #expect(extensions > 100, "the test must release while extensions are under way")
  }

  /// Expects that no extension of a token was sent after its release; returns how many were sent before.
  @discardableResult
  private func expectNoExtension(
    of token: String, afterReleaseIn proxy: FaultProxy,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Int {
    let commands = proxy.commands.filter { $0.words.contains(token) && $0.name.hasPrefix("EVAL") }
    // An extension has its token first among its arguments, after its keys.
    let isExtension = commands.map { command in
      let keyCount = Int(command.words[2]) ?? 0
      return command.words.dropFirst(3 + keyCount).first == token
    }
    let release = try #require(
      isExtension.lastIndex(of: false), sourceLocation: sourceLocation)
    #expect(
      isExtension[release...].allSatisfy { !$0 }, "an extension after the release",
      sourceLocation: sourceLocation)
    return isExtension[..<release].count { $0 }
  }

  #if THREAD_SANITIZER
    private static let many = 1000
  #else
    private static let many = 10_000
  #endif

  @Test(
    "A lock stays held as one of ten thousand, over several extensions of all",
    .timeLimit(.minutes(1)))
  func tenThousand() async throws {
    let locker = try await Locker(on: .current)
    let options = LockOptions(timeout: .seconds(20), ttl: .seconds(5), extend: .seconds(1.5))
    let prefix = uniqueKey()
    let locks = try await withThrowingTaskGroup(of: Lock.self) { group in
      for index in 0..<Self.many {
        group.addTask { try await locker.acquire("\(prefix)-\(index)", options: options) }
      }
      return try await group.reduce(into: [Lock]()) { $0.append($1) }
    }
    let end = ContinuousClock.now + .seconds(6)
    while ContinuousClock.now < end {
      #expect(locks.count { !$0.isHeld } == 0)
      try await Task.sleep(for: .milliseconds(100))
    }
  }
}
