import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

/// Tests misuse and mishaps of a program that holds a lock, each in a separate process.
@Suite("A process", .timeLimit(.minutes(5)), .redisServer())
struct ProcessFaultTests {
  private let client = RedisClient(.current)

  /// Starts a process that takes a lock, and waits until it has it.
  private func start(
    _ mode: String, key: String, ttl: Int = 1000, extend: Int = 150
  ) async throws -> LockTakerProcess {
    let process = try LockTakerProcess(.current, mode, key: key, ttl: ttl, extend: extend)
    await eventually { process.hasSaid("held") }
    return process
  }

  // MARK: Threads and signals

  @Test("A process that blocks hundreds of its Dispatch queues keeps its lock")
  func blockedQueues() async throws {
    let key = uniqueKey()
    let process = try await start("block-queues", key: key)
    await process.expectKept(key)
    #expect(!process.hasSaid("still works"), "the test must block the queues")
  }

  @Test(
    "A process that is stopped for longer than the ttl sees the loss at its first look"
  )
  func stopped() async throws {
    let key = uniqueKey()
    for _ in 0..<3 {
      let process = try await start("watch", key: key, ttl: 300, extend: 50)
      process.stop()
      let locker = try await Locker(on: .current)
      let lock = try await locker.acquire(key, options: LockOptions(timeout: .seconds(5)))
      // Its validity has also ended by its own clock.
      try await Task.sleep(for: .milliseconds(400))
      process.signal(SIGCONT)
      await eventually { process.hasSaid("lost") }
      #expect(!process.hasSaid("held after a pause"))
      #expect(try client("GET", key).string == lock.token)
      #expect(lock.isHeld)
      #expect(try await lock.release() == .released)
    }
  }

  @Test(
    "A process with constantly interrupted system calls connects, locks, and times out in time"
  )
  func interrupted() async throws {
    let process = try await start("interrupt", key: uniqueKey(), ttl: 30_000, extend: 1000)
    await eventually(within: .seconds(20)) { process.hasSaid("interrupted") }
    let words = process.saying.split(whereSeparator: \.isWhitespace)
    let numbers = words.suffix(6).compactMap { Int($0) }
    try #require(numbers.count == 2, "\(process.saying)")
    #expect(numbers[0] >= 299 && numbers[0] < 2000)
    #expect(numbers[1] > 100, "the test must interrupt it")
  }

  // MARK: Descriptors

  @Test(
    "A process without descriptors gets typed errors, keeps its lock, and leaks none in a thousand attempts"
  )
  func exhausted() async throws {
    let process = try await start("exhaust", key: uniqueKey())
    await eventually(within: .seconds(60)) { process.hasSaid("leaked") }
    let lines = process.saying.split(separator: "\n")
    for spare in [0, 2] {
      let line = try #require(lines.first { $0.hasPrefix("with \(spare) left") })
      #expect(line.contains("unreachable") && line.contains("Too many open files"))
      #expect(!line.contains("no error"))
    }
    #expect(process.hasSaid("then no error, held true"))
    #expect(process.hasSaid("leaked 0"), "\(process.saying)")
  }

  // MARK: Children

  @Test(
    "A process that starts another program does not pass its sockets on",
    .enabled("On this system, a test cannot see another process's descriptors.") { Self.hasProc })
  func spawned() async throws {
    let process = try await start("spawn", key: uniqueKey())
    await eventually { process.hasSaid("passed on") }
    #expect(process.hasSaid(" sockets, passed on 0, status 0"), "\(process.saying)")
    let counts = process.saying.split(separator: " ").compactMap { Int($0) }
    // The connection, the inbox, and the descriptor that wakes the connection's thread.
    #expect(counts.first ?? 0 >= 4)
  }

  @Test(
    "A process that forks keeps its lock, whatever its child does with the copied handles",
    .enabled("On this system, Swift offers no fork.") { Self.hasProc })
  func forked() async throws {
    let key = uniqueKey()
    let process = try await start("fork", key: key)
    await process.expectKept(key)
    #expect(process.hasSaid("child holds nothing"))
    for call in ["release", "extend", "acquire", "inspect"] {
      #expect(process.hasSaid("child \(call): closed"), "\(process.saying)")
    }
    #expect(!process.hasSaid("child: no error"), "\(process.saying)")
    #expect(process.hasSaid("child let go"))
  }

  /// A mutex of the Swift runtime that another thread has at the fork stays locked in the child for ever.
  @Test(
    "A process that forks while the runtime is busy has children that let go of its handles at once",
    .enabled("On this system, Swift offers no fork.") { Self.hasProc })
  func forkedOften() async throws {
    let process = try await start("fork-often", key: uniqueKey(), ttl: 30_000, extend: 1000)
    await eventually(within: .seconds(60)) { process.hasSaid("children of a body") }
    #expect(process.hasSaid("of 200 children, 0 hung, held true"), "\(process.saying)")
    #expect(process.hasSaid("of 100 children of a body, 0 hung"), "\(process.saying)")
  }

  @Test(
    "A process that forks and dies loses its lock after its ttl, although the child has its sockets",
    .enabled("On this system, Swift offers no fork.") { Self.hasProc })
  func forkedAndKilled() async throws {
    let key = uniqueKey()
    let process = try await start("fork", key: key)
    await eventually { process.hasSaid("child let go") }
    process.kill()
    let start = ContinuousClock.now
    await eventually { try client("EXISTS", key) == .integer(0) }
    // The child lives longer.
    #expect(ContinuousClock.now - start < .seconds(2))
  }

  private static var hasProc: Bool {
    #if os(Linux)
      true
    #else
      false
    #endif
  }
}
