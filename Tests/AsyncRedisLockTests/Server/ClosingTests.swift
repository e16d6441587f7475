import FaultProxy
import Foundation
import Logging
import PrivateRedis
import Testing

@testable import AsyncRedisLock
@testable import AsyncRedisLockTesting

@Suite("Closing", .timeLimit(.minutes(2)))
struct ClosingTests {
  @Test("Closing waits for a release that another thread has begun but not yet passed to the store")
  func releaseUnderWay() async throws {
    let activity = Activity()
    let store = StubStore(clock: LockClock(activity: activity))
    let coordinator = Coordinator(
      LockerConfiguration(operationTimeout: .seconds(5)), store: store, storeID: "nowhere",
      reporter: Reporter(logger: Logger(label: "closing"), label: nil))
    let lease = try #require(
      try await coordinator.acquire(LockKeys(["key"]), options: LockOptions(), waits: false))
    Thread.detachNewThread { coordinator.release(lease) }
    await eventually("the release begins") { store.isReleasing.value }
    let closing = Task(executorPreference: activity) { await coordinator.close() }
    // By now, it waits, or has finished before the release.
    try await activity.settle()
    store.mayRelease.signal()
    await closing.value
    await eventually("both are through") { store.events.values.count == 2 }
    #expect(store.events.values == ["released", "closed"])
  }

  @Test(
    "Closing gives back a lock whose release the server could not carry out yet",
    arguments: [true, false])
  func postponedRelease(hasFailed: Bool) async throws {
    let server = try RedisServer()
    defer { server.stop() }
    let client = RedisClient(server)
    let locker = try await Locker(on: server) {
      $0.operationTimeout = hasFailed ? .milliseconds(100) : .seconds(5)
    }
    let lock = try await locker.acquire(
      "key", options: LockOptions(ttl: .seconds(60), extend: .milliseconds(100)))
    try client("CONFIG", "SET", "min-replicas-to-write", "1")
    let release = Task { try await lock.release() }
    // After so many attempts, the next one would come too late for the close, or the extender has forgotten the lock.
    await eventually("it is refused") {
      try server.errors("NOREPLICAS") >= 8
    }
    if hasFailed { await expectError(.refused) { try await release.value } }
    let attempts = try server.errors("NOREPLICAS")
    let closing = Task { await locker.close() }
    if !hasFailed {
      // More often than each of the two steps of closing brings it forward.
      await eventually("it is tried again") { try server.errors("NOREPLICAS") > attempts + 2 }
    }
    try client("CONFIG", "SET", "min-replicas-to-write", "0")
    await closing.value
    _ = try? await release.value
    #expect(try client("EXISTS", "key") == .integer(0))
  }

  @Test(
    "Closing sends a release with its source if the server has not said that it knows the script")
  func releaseOfUnknownScript() async throws {
    // As a server that hangs: what it has received, it executes later.
    let hangs = Shared(false)
    let server = try FakeServer { _, _, _ in hangs.value ? .silence : nil }
    defer { server.stop() }
    let locker = try await Locker(url: server.url) { $0.operationTimeout = .milliseconds(400) }
    // The release times out before the connection ends, as its ttl is short. Its clean-up is under way then.
    let options = LockOptions(ttl: .milliseconds(200), extend: nil)
    var locks: [Lock] = []
    for number in 0..<5 {
      let lock = try await locker.acquire("key-\(number)", options: options)
      try await lock.extend(by: .seconds(60))
      locks.append(lock)
    }
    hangs.value = true
    await locker.close()
    await eventually("the connection is given up") { server.isOver(0) }
    let releases = server.commands[0].filter { command in
      locks.contains { command.words.contains($0.token) } && command.name.hasPrefix("EVAL")
    }
    let first = try #require(releases.firstIndex { $0.name == "EVAL" })
    for lock in locks {
      #expect(releases[first...].contains { $0.words.contains(lock.token) })
    }
    // One source is enough, and a stopped server may not read more than that at once.
    #expect(releases.count { $0.name == "EVAL" } == 1)
  }
}
