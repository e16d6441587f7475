import Dispatch
import Foundation
import Logging
import PrivateRedis
import Synchronization
import Testing

@testable import AsyncRedisLock

/// The caller may block its own actors, executors and handlers for any length of time: no other party waits for
/// them.
@Suite("A blocked caller", .redisServer(), .timeLimit(.minutes(1)))
struct BlockedCallerTests {
  /// An actor that a test can block.
  private actor Worker {
    func acquire(_ locker: Locker, _ key: String, _ options: LockOptions) async throws -> Lock {
      try await locker.acquire(key, options: options)
    }

    func withLock(
      _ locker: Locker, _ key: String, _ options: LockOptions, _ body: () -> Void
    ) async throws {
      try await locker.withLock(key, options: options) { _ in body() }
    }

    /// Blocks the actor until the gate is opened.
    func block(at gate: Gate) { gate.pass() }
  }

  /// Options with frequent extensions and a long ttl: an earlier report of the end comes from the server.
  private static let quick = LockOptions(
    retry: .seconds(20), timeout: .seconds(20), ttl: .seconds(20), extend: .milliseconds(200))

  @Test("A waiter on a blocked actor takes its granted lock, and the lock is extended")
  func takesGrant() async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let (worker, gate) = (Worker(), Gate())
    let first = try await holder.acquire(key, options: Self.quick)
    let waiting = try await queueUp(for: key) { try await worker.acquire(locker, key, Self.quick) }
    let blocking = Task { await worker.block(at: gate) }
    await eventually("the actor is blocked") { gate.count == 1 }
    try await first.release()
    await eventually("the lease is looked after") { locker.coordinator.extender.leases.count == 1 }
    let lease = try #require(locker.coordinator.extender.leases.first)
    let end = lease.state.validUntil
    await eventually("the lease is extended") { lease.isHeld && lease.state.validUntil > end }
    gate.open()
    let lock = try await waiting.value
    #expect(lock.isHeld)
    try await lock.release()
    await blocking.value
  }

  @Test("A waiter that runs only after its granted lock has ended requests the lock again")
  func runsTooLate() async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let first = try await holder.acquire(key, options: .patient)
    let brief = LockOptions(timeout: .seconds(20), ttl: .milliseconds(150), extend: nil)
    let waiting = try await queueUp(locker, for: key, options: brief)
    let (scripts, token) = (QueueScripts(), first.token)
    // All threads of the pool, including this one, are blocked from before the grant until after its end.
    let gate = Gate()
    let threads = ProcessInfo.processInfo.activeProcessorCount
    Thread.detachNewThread {
      while gate.count < threads { Thread.sleep(forTimeInterval: 0.001) }
      _ = try? scripts.release(token, key)
      Thread.sleep(forTimeInterval: 0.4)
      gate.open()
    }
    await withTaskGroup { group in
      for _ in 0..<threads { group.addTask { gate.pass() } }
    }
    let lock = try await waiting.value
    #expect(lock.isHeld && lock.token != token)
    #expect(locker.coordinator.waiterCount(of: key) == 0)
    try await lock.release()
    await holder.close()
  }

  @Test("A task that runs only after the lock handed to it in the process has ended asks again")
  func runsTooLateInProcess() async throws {
    let locker = try await Locker(on: .current) { $0.isFencingEnabled = false }
    let brief = LockOptions(timeout: .seconds(20), ttl: .milliseconds(300), extend: nil)
    let threads = ProcessInfo.processInfo.activeProcessorCount
    let (key, handed) = (uniqueKey(), Shared<Lease?>(nil))
    // A lock is handed over in the process only if the server confirmed it a moment ago. A busy machine can miss that.
    for _ in 0..<20 where handed.value == nil {
      let first = try await locker.acquire(key, options: .patient)
      let waiting = Task { try await locker.acquire(key, options: brief) }
      await eventually { locker.waiterCount(of: key) == 1 }
      try await first.extend(by: .seconds(3))
      let (gate, lease, coordinator) = (Gate(), first.lease, locker.coordinator)
      Thread.detachNewThread {
        while gate.count < threads { Thread.sleep(forTimeInterval: 0.001) }
        coordinator.release(lease)
        handed.value = coordinator.extender.leases.first { $0 !== lease }
        if handed.value != nil { Thread.sleep(forTimeInterval: 0.8) }
        gate.open()
      }
      await withTaskGroup { group in
        for _ in 0..<threads { group.addTask { gate.pass() } }
      }
      let second = try await waiting.value
      #expect(second.lease !== handed.value)
      try await second.release()
    }
    #expect(handed.value?.isHeld == false)
    await locker.close()
  }

  @Test("A leader on a blocked actor passes the lead on when its time is up")
  func passesLead() async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let (worker, gate) = (Worker(), Gate())
    let first = try await holder.acquire(key, options: .patient)
    var hasty = LockOptions.patient
    hasty.timeout = .milliseconds(300)
    let options = hasty
    let leading = try await queueUp(for: key) { try await worker.acquire(locker, key, options) }
    let waiting = Task { try await locker.acquire(key, options: .patient) }
    await eventually { locker.coordinator.waiterCount(of: key) == 2 }
    let blocking = Task { await worker.block(at: gate) }
    await eventually("the actor is blocked") { gate.count == 1 }
    await eventually("the lead is passed on") { locker.coordinator.waiterCount(of: key) == 1 }
    try await first.release()
    try await expectPromptly(waiting).release()
    gate.open()
    await expectError(.timeout) { try await leading.value }
    await blocking.value
  }

  @Test("If a lock is lost before the actor is free, the body does not start")
  func bodyOfLostLock() async throws {
    let (locker, key) = (try await Locker(), uniqueKey())
    let (worker, gate, hasRun) = (Worker(), Gate(), Shared(false))
    let holder = try await Locker()
    let first = try await holder.acquire(key, options: .patient)
    let options = LockOptions(timeout: .seconds(20), ttl: .milliseconds(300), extend: nil)
    let working = try await queueUp(for: key) {
      try await worker.withLock(locker, key, options) { hasRun.value = true }
    }
    let blocking = Task { await worker.block(at: gate) }
    await eventually("the actor is blocked") { gate.count == 1 }
    try await first.release()
    await eventually("the lock is granted, and expires") {
      try RedisServer.current.value(of: key) != first.token && !RedisServer.current.hasKey(key)
    }
    gate.open()
    await expectError(.lost) { try await working.value }
    #expect(!hasRun.value)
    await blocking.value
  }

  // MARK: Log handlers

  /// Blocks at each message with a certain text until its gate is opened.
  private struct BlockingHandler: LogHandler {
    let text: String
    let gate: Gate
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      if event.message.description.contains(text) { gate.pass() }
    }
  }

  private func makeLocker(blockingAt text: String, _ gate: Gate) async throws -> Locker {
    let logger = Logger(label: "blocking") { _ in BlockingHandler(text: text, gate: gate) }
    return try await Locker(
      configuration: LockerConfiguration(url: RedisServer.current.url), logger: logger)
  }

  @Test("A log handler that blocks at the loss of a lock delays no other loss and no extension")
  func handlerOfLoss() async throws {
    let gate = Gate()
    defer { gate.open() }
    let locker = try await makeLocker(blockingAt: "was lost", gate)
    let client = RedisClient(.current)
    let lost = try await locker.acquire(uniqueKey(), options: Self.quick)
    let alsoLost = try await locker.acquire(uniqueKey(), options: Self.quick)
    let kept = try await locker.acquire(uniqueKey(), options: Self.quick)
    try client("DEL", lost.keys[0])
    await eventually("the handler blocks") { gate.count == 1 }
    try client("DEL", alsoLost.keys[0])
    await eventually(within: .seconds(10), "the loss is reported") {
      alsoLost.lossReason == .deleted
    }
    for _ in 0..<2 {
      let end = kept.lease.state.validUntil
      await eventually(within: .seconds(10), "the lock is extended") {
        kept.lease.state.validUntil > end
      }
    }
    #expect(kept.isHeld)
    try await kept.release()
    await locker.close()
  }

  /// Blocks when its last reference goes away, like a sink that flushes a file.
  private final class BlockingSink: Sendable {
    let gate: Gate
    init(_ gate: Gate) { self.gate = gate }
    deinit { gate.pass() }
  }

  private struct SinkHandler: LogHandler {
    let sink: BlockingSink
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {}
  }

  @Test(
    "A log handler that blocks when it is freed delays no extension", arguments: [true, false])
  func handlerEnd(isLost: Bool) async throws {
    let (locker, gate) = (try await Locker(), Gate())
    defer { gate.open() }
    let kept = try await locker.acquire(uniqueKey(), options: Self.quick)
    let ending = Task {
      let logger = Logger(label: "sink") { _ in SinkHandler(sink: BlockingSink(gate)) }
      let lock = try await locker.acquire(uniqueKey(), options: Self.quick, logger: logger)
      if isLost {
        try RedisClient(.current)("DEL", lock.keys[0])
        try await lock.waitUntilLost()
      } else {
        try await lock.release()
      }
    }
    await eventually("the handler blocks") { gate.count == 1 }
    for _ in 0..<3 {
      let end = kept.lease.state.validUntil
      await eventually("the lock is extended") { kept.lease.state.validUntil > end }
    }
    #expect(kept.isHeld)
    gate.open()
    _ = await ending.result
    await locker.close()
  }

  @Test(
    "A log handler that blocks when it is freed after its last report was dropped delays nothing")
  func handlerEndUnreported() async throws {
    let (locker, gate, full) = (try await Locker(), Gate(), Gate())
    defer {
      gate.open()
      full.open()
    }
    let kept = try await locker.acquire(uniqueKey(), options: Self.quick)
    do {
      let logger = Logger(label: "sink") { _ in SinkHandler(sink: BlockingSink(gate)) }
      let lock = try await locker.acquire(
        uniqueKey(), options: LockOptions(ttl: .seconds(1)), logger: logger)
      let reports = locker.coordinator.reporter.queue
      reports.add { full.pass() }
      await eventually("the reports wait") { full.count == 1 }
      for _ in 0..<ReportQueue.capacity { reports.add {} }
      try RedisClient(.current)("DEL", lock.keys[0])
      try await lock.waitUntilLost()
    }
    // The extender frees the lease when it would have ended.
    await eventually("the handler blocks") { gate.count == 1 }
    for _ in 0..<3 {
      let end = kept.lease.state.validUntil
      await eventually("the lock is extended") { kept.lease.state.validUntil > end }
    }
    try await kept.release()
  }

  @Test("A log handler that blocks when the connection ends does not stop the next connection")
  func handlerOfConnection() async throws {
    let gate = Gate()
    defer { gate.open() }
    let locker = try await makeLocker(blockingAt: "The connection ended", gate)
    let lock = try await locker.acquire(uniqueKey(), options: Self.quick)
    try RedisClient(.current)("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await eventually("the handler blocks") { gate.count == 1 }
    #expect(try await locker.inspect(lock.keys[0])?.holder.value == lock.token)
    #expect(lock.isHeld)
    try await lock.release()
    await locker.close()
  }

  @Test("Reports beyond the limit are dropped and counted, and no caller waits for them")
  func dropped() async throws {
    let (gate, dropped, done) = (Gate(), Shared(0), Shared(0))
    let queue = ReportQueue(on: DispatchWorkQueue("reports", .later), countedBy: nil) {
      dropped.value = $0
    }
    queue.add { gate.pass() }
    await eventually { gate.count == 1 }
    for _ in 0..<ReportQueue.capacity + 5 { queue.add { done.change { $0 += 1 } } }
    gate.open()
    await eventually { done.value == ReportQueue.capacity }
    #expect(dropped.value == 5)
  }

  @Test("A report that blocks does not hold up the thread that adds it")
  func reportBlocks() async {
    let queue = ReportQueue(on: DispatchWorkQueue("reports", .later), countedBy: nil) { _ in }
    let (mayEnd, hasBeenLet) = (DispatchSemaphore(value: 0), Shared<Bool?>(nil))
    queue.add { hasBeenLet.value = mayEnd.wait(timeout: .now() + 5) == .success }
    mayEnd.signal()
    await eventually(within: .seconds(10)) { hasBeenLet.value != nil }
    #expect(hasBeenLet.value == true)
  }

  // MARK: Executors

  /// Runs jobs on a queue, and blocks each thread that adds a job while its gate is set.
  private final class BlockingExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "executor")
    let gate = Shared<Gate?>(nil)

    func enqueue(_ job: consuming ExecutorJob) {
      gate.value?.pass()
      let job = UnownedJob(job)
      queue.async { @Sendable in
        unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
      }
    }
  }

  @Test(
    "An executor that blocks the thread that resumes its tasks does not stop extensions or other calls"
  )
  func executor() async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let (executor, gate) = (BlockingExecutor(), Gate())
    defer { gate.open() }
    let first = try await holder.acquire(key, options: Self.quick)
    let kept = try await locker.acquire(uniqueKey(), options: Self.quick)
    let waiting = try await queueUp(for: key) {
      try await withTaskExecutorPreference(executor) {
        try await locker.acquire(key, options: Self.quick)
      }
    }
    executor.gate.value = gate
    try await first.release()
    await eventually("the lease is looked after") { locker.coordinator.extender.leases.count == 2 }
    for _ in 0..<2 {
      let end = kept.lease.state.validUntil
      await eventually(within: .seconds(10), "the lock is extended") {
        kept.lease.state.validUntil > end
      }
    }
    #expect(try await holder.inspect(key) != nil)
    executor.gate.value = nil
    gate.open()
    try await waiting.value.release()
    try await kept.release()
  }
}
