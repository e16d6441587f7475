import Dispatch
import FaultProxy
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// Repeats the attacks of reviewers that the library has withstood.
@Suite("Under strain", .timeLimit(.minutes(4)))
struct StrainTests {
  #if THREAD_SANITIZER
    // Everything takes ten times as long there, except the ttl.
    static let (crowd, lockers) = (5000, 200)
  #else
    static let (crowd, lockers) = (100_000, 1000)
  #endif

  private let brief = LockOptions(
    timeout: nil, ttl: .seconds(3), extend: .milliseconds(500))

  @Test(
    "A crowd of a hundred thousand acquisitions does not delay the extensions of locks",
    .redisServer())
  func extensionsInACrowd() async throws {
    // The crowd may take its time.
    let locker = try await Locker(on: .current) { $0.operationTimeout = .seconds(20) }
    let lock = try await locker.acquire("bystander", options: brief)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<Self.crowd {
        group.addTask {
          let options = LockOptions(timeout: nil, ttl: .seconds(300))
          try await locker.acquire("key-\(index)", options: options).release()
        }
      }
      try await group.waitForAll()
    }
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  @Test(
    "A thousand lockers that cannot connect do not keep a healthy one from reconnecting",
    .enabled("On other systems, a full listener refuses.") { FullListener.isSilent })
  func reconnectingBesideASilentServer() async throws {
    let (full, healthy) = (try FullListener(), try RedisServer())
    defer { healthy.stop() }
    let proxy = try FaultProxy(to: healthy)
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url)
    let lock = try await locker.acquire("key", options: brief)
    let former = ProcessResources.current.threads
    await withTaskGroup { group in
      for _ in 0..<Self.lockers {
        group.addTask {
          await expectError(.unreachable) {
            _ = try await Locker(url: full.url) { $0.connectTimeout = .seconds(4) }
          }
        }
      }
      // Enough of each connect timeout is left to take a lock a second time.
      for _ in 0..<3 {
        proxy.strike(.reset(after: 0))
        let start = ContinuousClock.now
        await eventually("a lock of the healthy server") {
          try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(1)))
            .release() == .released
        }
        #expect(start.duration(to: .now) < .seconds(2))
      }
      #expect(ProcessResources.current.threads < former + 100)
      #expect(lock.isHeld)
    }
    #expect(try await lock.release() == .released)
  }

  @Test("A thousand lockers of a stopped server do not harm a locker of a healthy one")
  func besideAStoppedServer() async throws {
    let (stopped, healthy) = (try RedisServer(), try RedisServer())
    defer { for server in [stopped, healthy] { server.stop() } }
    let locker = try await Locker(url: healthy.url)
    let lock = try await locker.acquire("key", options: brief)
    var lockers: [Locker] = []
    for _ in 0..<Self.lockers {
      lockers.append(try await Locker(on: stopped) { $0.operationTimeout = .seconds(2) })
    }
    stopped.pause()
    await withTaskGroup { group in
      for (index, locker) in lockers.enumerated() {
        group.addTask {
          let options = LockOptions(timeout: .seconds(5), ttl: .seconds(60))
          await expectError(.unreachable) {
            try await locker.acquire("key-\(index)", options: options)
          }
        }
      }
    }
    #expect(lock.isHeld)
    // The healthy server is as available as before.
    try await locker.acquire("other").release()
    #expect(try await lock.release() == .released)
    await withTaskGroup { group in
      for locker in lockers + [locker] { group.addTask { await locker.close() } }
    }
  }

  @Test(
    "A lock that is adopted with minHold is kept that long, and then handed on", .redisServer())
  func keptAfterTakingOver() async throws {
    let (first, second) = (try await Locker(on: .current), try await Locker(on: .current))
    let options = LockOptions(timeout: .seconds(10), ttl: .seconds(30), extend: .seconds(5))
    let detached = try await first.acquire("key", options: options).detach()
    var keeping = options
    keeping.minHold = .milliseconds(600)
    let start = ContinuousClock.now
    let lock = try await second.adopt(detached, options: keeping)
    async let next = first.acquire("key", options: options)
    await eventually { try await second.inspect("key")?.waiterCount == 1 }
    // However often it is released.
    for _ in 0..<2 { _ = try await lock.release() }
    try await next.release()
    #expect(start.duration(to: .now) >= .milliseconds(600))
    #expect(try !RedisServer.current.hasKey("key"))
    for locker in [first, second] { await locker.close() }
  }

  @Test("The longest possible durations are refused or accepted, and nothing traps", .redisServer())
  func longDurations() async throws {
    let locker = try await Locker(on: .current)
    let longest = [
      Duration(secondsComponent: .max, attosecondsComponent: 0), .seconds(Int64.max / 1000),
      .milliseconds(Int64.max), .nanoseconds(Int64.max), .seconds(Int64.min),
    ]
    for duration in longest {
      for option in [\LockOptions.retry, \.ttl, \.minHold] {
        var options = LockOptions()
        options[keyPath: option] = duration
        await expectError(.invalidOptions) { try await locker.acquire("key", options: options) }
      }
      for option in [\LockOptions.timeout, \.extend, \.maxHold] {
        var options = LockOptions()
        options[keyPath: option] = duration
        await expectError(.invalidOptions) { try await locker.acquire("key", options: options) }
      }
      let lock = try await locker.acquire("key", options: .patient)
      await expectError(.invalidOptions) { try await lock.extend(by: duration) }
      // Such a wait lasts for ever, or takes no time.
      let waiting = Task { try await lock.waitUntilLost(within: duration) }
      try await lock.release()
      _ = await waiting.result
    }
    await locker.close()
  }

  @Test("A locker that is dropped with a held lock and a waiting task is freed", .redisServer())
  func freed() async throws {
    weak var coordinator: Coordinator?
    weak var store: RedisLockStore?
    do {
      let (locker, other) = (try await Locker(on: .current), try await Locker(on: .current))
      coordinator = locker.coordinator
      store = locker.coordinator.store as? RedisLockStore
      #expect(store != nil)
      let lock = try await other.acquire("key", options: .patient)
      let waiting = try await queueUp(locker, for: "key")
      try await lock.release()
      let held = try await waiting.value
      await expectError(.timeout) {
        try await locker.acquire("key", options: LockOptions(timeout: .milliseconds(50)))
      }
      #expect(held.isHeld)
      let body = Task { try await locker.withLock("body") { lock in lock.isHeld } }
      #expect(try await body.value)
      await other.close()
    }
    await eventually("nothing refers to it") { coordinator == nil && store == nil }
    await eventually("its lock is released") { try !RedisServer.current.hasKey("key") }
  }

  @Test(
    "A name is looked up though the program's own utility work blocks all threads of Dispatch",
    .redisServer(listen: .tcp))
  func blockedUtilityWork() async throws {
    let (gate, port) = (Gate(), try #require(RedisServer.current.port))
    defer { gate.open() }
    let queue = DispatchQueue(label: "program", qos: .utility, attributes: .concurrent)
    // Dispatch starts one a second, as long as all of its threads are blocked.
    for _ in 0..<600 { queue.async { gate.pass() } }
    await eventually("the threads block") {
      gate.count >= ProcessInfo.processInfo.activeProcessorCount
    }
    let locker = try await Locker(url: "redis://localhost:\(port)")
    try await locker.acquire(uniqueKey()).release()
  }
}
