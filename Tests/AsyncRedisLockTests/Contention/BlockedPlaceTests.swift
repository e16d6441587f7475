import Dispatch
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// Where the program runs a task may be blocked while the task takes a lock: others must not notice.
@Suite("A task whose actor or executor is blocked", .redisServer(), .timeLimit(.minutes(1)))
struct BlockedPlaceTests {
  /// Runs all on one thread, as an event loop does.
  private final class EventLoop: TaskExecutor {
    let queue = DispatchQueue(label: "event loop")

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { @Sendable in
        unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
      }
    }
  }

  private actor Worker {
    func block(at gate: Gate) { gate.pass() }
  }

  /// Where a task runs.
  enum Place: CaseIterable, Sendable { case actor, executor }

  /// A task that runs where it can be blocked.
  private struct Blockable {
    private let worker = Worker()
    private let loop = EventLoop()
    private let gate = Gate()
    let place: Place

    func start<Value: Sendable>(
      _ body: @escaping @Sendable (isolated (any Actor)?) async throws -> Value
    ) -> Task<Value, any Error> {
      switch place {
      case .actor: Task { [worker] in try await body(worker) }
      case .executor: Task(executorPreference: loop) { try await body(nil) }
      }
    }

    func block() async {
      switch place {
      case .actor: Task { [worker, gate] in await worker.block(at: gate) }
      case .executor: loop.queue.async { [gate] in gate.pass() }
      }
      await eventually("it is blocked") { gate.count == 1 }
    }

    func goOn() { gate.open() }
  }

  private static let options = LockOptions(
    retry: .milliseconds(100), timeout: .seconds(20), ttl: .seconds(20), extend: .milliseconds(200))

  @Test("What it is granted is taken and extended", arguments: Place.allCases)
  func granted(place: Place) async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let caller = Blockable(place: place)
    defer { caller.goOn() }
    let first = try await holder.acquire(key, options: Self.options)
    let waiting = caller.start { _ in try await locker.acquire(key, options: Self.options) }
    await eventually("it waits") { try RedisServer.current.queue(of: key).count == 1 }
    await caller.block()
    try await first.release()
    await eventually("the lease is looked after") { locker.coordinator.extender.leases.count == 1 }
    let lease = try #require(locker.coordinator.extender.leases.first)
    let end = lease.state.validUntil
    await eventually("it is extended") { lease.state.validUntil > end }
    caller.goOn()
    try await waiting.value.release()
  }

  @Test("When its time is up, the next of its locker leads", arguments: Place.allCases)
  func timedOut(place: Place) async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let caller = Blockable(place: place)
    defer { caller.goOn() }
    let first = try await holder.acquire(key, options: Self.options)
    var hasty = Self.options
    hasty.timeout = .seconds(1)
    let leading = caller.start { [hasty] _ in try await locker.acquire(key, options: hasty) }
    await eventually("it waits") { try RedisServer.current.queue(of: key).count == 1 }
    await caller.block()
    let next = Task { try await locker.acquire(key, options: Self.options) }
    await eventually("both wait") { locker.waiterCount(of: key) == 2 }
    await eventually("the first has given up") { locker.waiterCount(of: key) == 1 }
    try await first.release()
    try await expectPromptly(next).release()
    caller.goOn()
    await expectError(.timeout) { try await leading.value }
  }

  @Test("Closing its locker does not wait for it", arguments: Place.allCases)
  func closed(place: Place) async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let caller = Blockable(place: place)
    defer { caller.goOn() }
    let first = try await holder.acquire(key, options: Self.options)
    let waiting = caller.start { _ in try await locker.acquire(key, options: Self.options) }
    await eventually("it waits") { try RedisServer.current.queue(of: key).count == 1 }
    await caller.block()
    let hasClosed = Shared(false)
    Task {
      await locker.close()
      hasClosed.value = true
    }
    await eventually("it has closed") { hasClosed.value }
    caller.goOn()
    await expectError(.closed) { try await waiting.value }
    try await first.release()
  }

  @Test(
    "A lock it takes over is extended, and closing does not wait for it", arguments: Place.allCases)
  func adopted(place: Place) async throws {
    let server = try RedisServer()
    defer { server.stop() }
    let (holder, locker) = (try await Locker(on: server), try await Locker(on: server))
    let (caller, key) = (Blockable(place: place), uniqueKey())
    defer { caller.goOn() }
    let check = try await holder.acquire(key, options: Self.options).detach()
    server.pause()
    let adopting = caller.start { _ in try await locker.adopt(check, options: Self.options) }
    await eventually("it asks") { locker.waiterCount(of: key) == 1 }
    await caller.block()
    server.resume()
    await eventually("the lease is looked after") { locker.coordinator.extender.leases.count == 1 }
    let hasClosed = Shared(false)
    Task {
      await locker.close()
      hasClosed.value = true
    }
    await eventually("it has closed") { hasClosed.value }
    caller.goOn()
    _ = try? await adopting.value
  }
}
