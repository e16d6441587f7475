import AsyncRedisLock
import Testing

@testable import AsyncRedisLockTesting

@Suite("A locker in memory that closes, or whose requests are given up", .timeLimit(.minutes(2)))
struct InMemoryClosingTests {
  private let clock = ManualClock()
  private let server: InMemoryServer
  private let patient = LockOptions(timeout: nil)
  private let loading = InMemoryServer.Fault.refusing("LOADING", isTransient: true)
  private let key = "key"

  init() { server = InMemoryServer(clock: clock) }

  /// Begins to close a locker gracefully, and waits until it refuses new calls.
  private func beginClosing(_ locker: Locker) async throws -> Task<Void, any Error> {
    let closing = server.startTask { try await locker.closeWhenReleased() }
    try await server.settle()
    await expectError(.closed) { try await locker.acquireIfAvailable("probe") }
    return closing
  }

  @Test("A closing locker ends all waits for a server in trouble, while its locks continue")
  func trouble() async throws {
    let locker = Locker.inMemory(on: server)
    let lock = try await locker.acquire(key)
    server.simulate(loading)
    let waiting = server.startTask { [patient] in
      await Attempt { try await locker.acquire("other", options: patient) }
    }
    try await server.settle()
    let closing = try await beginClosing(locker)
    #expect(try await waiting.value.error?.code == .closed)
    #expect(lock.isHeld)
    server.simulate(.none)
    try await lock.release()
    try await closing.value
  }

  @Test(
    "While its locker closes, a holder may pause between two requests and be cancelled in the pause"
  )
  func pausing() async throws {
    let locker = Locker.inMemory(on: server)
    let lock = try await locker.acquire(key)
    let closing = try await beginClosing(locker)
    server.simulate(loading)
    let extending = server.startTask { try await lock.extend(by: .seconds(60)) }
    try await server.settle()
    extending.cancel()
    await #expect(throws: CancellationError.self) { try await extending.value }
    server.simulate(.none)
    try await lock.release()
    try await closing.value
  }

  @Test("A lock is freed at the end of its minHold, while its locker's other locks continue")
  func minHold() async throws {
    let locker = Locker.inMemory(on: server)
    let other = Locker.inMemory(on: server)
    let lock = try await locker.acquire("long")
    let brief = try await locker.acquire(key, options: LockOptions(minHold: .seconds(2)))
    let waiting = server.startTask { [key, patient] in
      try await other.acquire(key, options: patient)
    }
    try await server.settle()
    #expect(try await other.inspect(key)?.waiterCount == 1)
    let closing = try await beginClosing(locker)
    try await brief.release()
    try await clock.advance(by: .milliseconds(2100))
    // The waiter is told; a poll would need more time to pass.
    #expect(try await waiting.value.isHeld)
    try await lock.release()
    try await closing.value
  }

  @Test("A lock is kept for its minHold even if the first attempt to keep it fails")
  func minHoldOnceMore() async throws {
    let locker = Locker.inMemory(on: server)
    var lock: Lock? = try await locker.acquire(key, options: LockOptions(minHold: .seconds(20)))
    server.simulate(.unreachable)
    let release = server.startTask { [lock] in await Attempt { try await lock?.release() } }
    try await clock.advance(by: .seconds(1))
    #expect(try await release.value.error?.code == .unreachable)
    server.simulate(.none)
    lock = nil
    try await server.settle()
    #expect(try #require(try await locker.inspect(key)?.remaining) > .seconds(15))
    try await clock.advance(by: .seconds(19))
    #expect(server.lockedKeys.isEmpty)
  }

  @Test(
    "A closing locker does not wait for the end of a lock's minHold")
  func unreachable() async throws {
    let locker = Locker.inMemory(on: server)
    let lock = try await locker.acquire(key, options: LockOptions(minHold: .seconds(10)))
    server.simulate(.unreachable)
    await locker.close()
    #expect(!lock.isHeld)
  }

  @Test("A closing locker receives answers that are under way")
  func delayed() async throws {
    let locker = Locker.inMemory(on: server)
    let lock = try await locker.acquire(key)
    server.simulate(.delaying(by: .milliseconds(500)))
    let release = server.startTask { try await lock.release() }
    try await server.settle()
    #expect(server.lockedKeys.isEmpty)
    await locker.close()
    #expect(try await release.value == .released)
  }

  @Test("A request that is given up before it is sent is not executed")
  func givenUp() {
    let client = server.admit("locker")
    let question = AsyncRedisLockTesting.InMemoryRequest(
      from: client, by: clock.timeline.now + .seconds(1)
    ) { _, _ in
      Issue.record("it is done")
      return {}
    } fail: {
      #expect($0 == .cancelled)
    }
    #expect(server.abandon(question, because: .cancelled))
    server.submit(question)
    #expect(!server.abandon(question, because: .closed))
  }

  @Test("A server that is reachable again executes a locker's requests in their order")
  func order() async throws {
    let (first, second) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    let keys = (0..<20).map { "key\($0)" }
    let lock = try await first.acquire(keys)
    let waiting = keys.map { key in
      server.startTask { [patient] in try await second.acquire(key, options: patient) }
    }
    try await server.settle()
    for key in keys { #expect(try await first.inspect(key)?.waiterCount == 1) }
    server.simulate(.unreachable, for: second)
    // They try again in vain; then they are cancelled.
    try await clock.advance(by: .milliseconds(1500))
    try await lock.release()
    for task in waiting { task.cancel() }
    for task in waiting { _ = try? await task.value }
    server.simulate(.none, for: second)
    try await server.settle()
    #expect(server.lockedKeys.isEmpty)
  }

  @Test("A locker in memory and its server are freed with their last references")
  func lifetime() async throws {
    weak var server: InMemoryServer?
    do {
      let strong = InMemoryServer(clock: clock)
      server = strong
      let locker = Locker.inMemory(on: strong)
      strong.simulate(.delaying(by: .milliseconds(100)))
      let acquired = strong.startTask { [key] in try await locker.acquire(key) }
      try await clock.advance(by: .milliseconds(100))
      let lock = try await acquired.value
      strong.simulate(.none)
      try await lock.release()
      await locker.close()
    }
    await eventually { server == nil }
  }

  @Test("A lock can be lost after the last reference to its locker is gone")
  func loseOrphan() async throws {
    let lock = try await Locker.inMemory(on: server).acquire(key)
    server.loseLock(on: key)
    #expect(lock.lossReason == .deleted)
  }
}
