import Dispatch
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// The actor, executor or priority of a task may be blocked while the task takes a lock, without effect on other
/// tasks.
@Suite(
  "A task whose actor, executor or priority is blocked", .redisServer(), .timeLimit(.minutes(1)))
struct BlockedPlaceTests {
  /// Runs all jobs on one thread, like an event loop.
  private final class Loop: TaskExecutor {
    let queue = DispatchQueue(label: "loop")

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { @Sendable in
        unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
      }
    }
  }

  /// An executor for actors as well, so that the runtime takes it for an actor's even if a task only prefers it.
  private final class EventLoop: TaskExecutor, SerialExecutor {
    let queue = DispatchQueue(label: "event loop")

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { @Sendable in
        unsafe job.runSynchronously(
          isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: self.asUnownedTaskExecutor())
      }
    }
  }

  private actor Worker {
    func run<Value: Sendable>(
      _ body: @Sendable (isolated (any Actor)?) async throws -> Value
    ) async throws -> Value { try await body(self) }

    func block(at gate: Gate) { gate.pass() }
  }

  /// An actor with an executor of its own.
  private actor LoopWorker {
    nonisolated let loop = EventLoop()
    nonisolated var unownedExecutor: UnownedSerialExecutor {
      unsafe loop.asUnownedSerialExecutor()
    }

    func run<Value: Sendable>(
      _ body: @Sendable (isolated (any Actor)?) async throws -> Value
    ) async throws -> Value { try await body(self) }
  }

  /// The place at which a task runs.
  enum Place: CaseIterable, Sendable {
    case actor, executor, eventLoop, actorOfEventLoop
    /// The threads of a low priority, one for each processor.
    case lowPriority
  }

  /// A task that runs at a place that can be blocked.
  private struct Blockable {
    private let worker = Worker()
    private let loop = Loop()
    private let eventLoop = EventLoop()
    private let loopWorker = LoopWorker()
    let gate = Gate()
    let place: Place

    init(place: Place) { self.place = place }

    func start<Value: Sendable>(
      _ body: @escaping @Sendable (isolated (any Actor)?) async throws -> Value
    ) -> Task<Value, any Error> {
      switch place {
      case .actor: Task { [worker] in try await worker.run(body) }
      case .executor: Task(executorPreference: loop) { try await body(nil) }
      case .eventLoop: Task(executorPreference: eventLoop) { try await body(nil) }
      case .actorOfEventLoop:
        Task(executorPreference: loop) { [loopWorker] in try await loopWorker.run(body) }
      case .lowPriority: Task.detached(priority: .background) { try await body(nil) }
      }
    }

    /// Blocks the place as soon as its present job has ended or been suspended.
    func blockNext() {
      switch place {
      case .actor: Task { [worker, gate] in await worker.block(at: gate) }
      case .executor: loop.queue.async { [gate] in gate.pass() }
      case .eventLoop: eventLoop.queue.async { [gate] in gate.pass() }
      case .actorOfEventLoop: loopWorker.loop.queue.async { [gate] in gate.pass() }
      case .lowPriority:
        for _ in 0..<threadCount { Task.detached(priority: .background) { [gate] in gate.pass() } }
      }
    }

    private var threadCount: Int {
      place == .lowPriority ? ProcessInfo.processInfo.activeProcessorCount : 1
    }

    func waitUntilBlocked() async {
      await eventually("it is blocked") { gate.count == threadCount }
    }

    func block() async {
      blockNext()
      await waitUntilBlocked()
    }

    func goOn() { gate.open() }
  }

  private static let options = LockOptions(
    retry: .milliseconds(100), timeout: .seconds(20), ttl: .seconds(20), extend: .milliseconds(200))

  private func expectToClose(_ locker: Locker) async {
    let hasClosed = Shared(false)
    Task {
      await locker.close()
      hasClosed.value = true
    }
    await eventually("it has closed") { hasClosed.value }
  }

  @Test("A lock that it is granted is taken and extended", arguments: Place.allCases)
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

  @Test(
    "A lock that it requests is taken, although it gets no further turn", arguments: Place.allCases)
  func noFurtherTurn(place: Place) async throws {
    let (locker, key) = (try await Locker(), uniqueKey())
    let caller = Blockable(place: place)
    defer { caller.goOn() }
    let asking = caller.start { _ in
      caller.blockNext()
      return try await locker.acquire(key, options: Self.options)
    }
    await eventually("the lease is looked after") { locker.coordinator.extender.leases.count == 1 }
    await caller.waitUntilBlocked()
    await expectToClose(locker)
    caller.goOn()
    _ = try? await asking.value
  }

  @Test(
    "A body that runs elsewhere is cancelled when its lock is lost",
    arguments: Place.allCases.filter { $0 != .lowPriority })
  func bodyElsewhere(place: Place) async throws {
    let (locker, key) = (try await Locker(), uniqueKey())
    let caller = Blockable(place: place)
    defer { caller.goOn() }
    let (isWorking, wasCancelled) = (Shared(false), Shared(false))
    let work: @Sendable @concurrent () async -> Void = {
      isWorking.value = true
      await withTaskExecutorPreference(globalConcurrentExecutor) {
        _ = try? await Task.sleep(for: .seconds(20))
        wasCancelled.value = Task.isCancelled
      }
    }
    let holding = caller.start { _ in
      try await locker.withLock(key, options: Self.options) { _ in await work() }
    }
    await eventually("it works") { isWorking.value }
    await caller.block()
    try RedisClient(.current)("DEL", key)
    await eventually("the body is cancelled") { wasCancelled.value }
    caller.goOn()
    await expectError(.lost) { try await holding.value }
  }

  @Test("When its time is up, the next task of its locker leads", arguments: Place.allCases)
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
    await expectToClose(locker)
    caller.goOn()
    await expectError(.closed) { try await waiting.value }
    try await first.release()
  }

  @Test(
    "A lock that it adopts is extended, and closing does not wait for the task",
    arguments: Place.allCases)
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
    await expectToClose(locker)
    caller.goOn()
    _ = try? await adopting.value
  }
}
