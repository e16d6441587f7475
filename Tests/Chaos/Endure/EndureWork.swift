import AsyncRedisLock
import ChaosLog
import PrivateRedis
import Synchronization

/// Uses every kind of call, in several tasks at once.
final class EndureWork: Sendable {
  private static let tasks = 16
  private static let options = LockOptions(
    timeout: .milliseconds(300), ttl: .milliseconds(600), extend: .milliseconds(200))

  private let server: RedisServer
  private let locker: Locker
  private let other: Locker
  private let state = Locked((isOver: false, calls: 0))

  /// Opens the lockers.
  ///
  /// - Throws: ``LockError``.
  init(server: RedisServer) async throws {
    self.server = server
    locker = try await Locker(url: server.url)
    other = try await Locker(url: server.url)
  }

  /// How often an action was performed so far.
  var calls: Int { state.withLock { $0.calls } }

  /// Tells all tasks to end.
  func end() { state.withLock { $0.isOver = true } }

  /// Works until the end.
  func run(seed: UInt64) async {
    await withTaskGroup { group in
      for task in 0..<Self.tasks {
        group.addTask { [self] in
          var generator = SplitMix(seed: seed &+ UInt64(task) &* 0x1_0000_0001)
          while !isOver {
            // Errors are expected: timeouts, cancellations, killed connections.
            try? await turn(task, &generator)
            state.withLock { $0.calls += 1 }
          }
        }
      }
    }
    await locker.close()
    await other.close()
  }

  private var isOver: Bool { state.withLock { $0.isOver } }

  private func turn(_ task: Int, _ generator: inout SplitMix) async throws {
    let key = "shared-\(Int.random(in: 0..<3, using: &generator))"
    let locker = Bool.random(using: &generator) ? locker : other
    switch Int.random(in: 0..<1000, using: &generator) {
    case ..<400: try await locker.acquire("own-\(task)", options: Self.options).release()
    // A name that is used only once.
    case ..<500:
      try await locker.acquire("once-\(generator.next())", options: Self.options).release()
    case ..<650: try await locker.acquire(key, options: Self.options).release()
    case ..<700: try await locker.acquire([key, "shared-3"], options: Self.options).release()
    case ..<800:
      try await locker.withLock(key, options: Self.options) { _ in
        try await Task.sleep(for: .milliseconds(1))
      }
    case ..<850: _ = try await locker.acquireIfAvailable(key, options: Self.options)
    case ..<900: try await cancel(locker, key, after: Int.random(in: 0...20, using: &generator))
    case ..<960: try await drop(locker, key)
    case ..<980: try await hold(locker, key)
    case ..<996: try await reopen(key)
    default: try killConnections(&generator)
    }
  }

  private func cancel(_ locker: Locker, _ key: String, after milliseconds: Int) async throws {
    let call = Task { try await locker.acquire(key, options: Self.options) }
    try await Task.sleep(for: .milliseconds(milliseconds))
    call.cancel()
    try await call.value.release()
  }

  private func drop(_ locker: Locker, _ key: String) async throws {
    let lock = try await locker.acquire(key, options: Self.options)
    _ = try? await lock.waitUntilLost(within: .seconds(1))
  }

  /// Holds a lock for so long that other calls time out and extensions are needed.
  private func hold(_ locker: Locker, _ key: String) async throws {
    let lock = try await locker.acquire(key, options: Self.options)
    try await Task.sleep(for: .milliseconds(350))
    try await lock.extend(by: .seconds(1))
    try await lock.release()
  }

  private func reopen(_ key: String) async throws {
    let locker = try await Locker(url: server.url)
    _ = try? await locker.acquire(key, options: Self.options)
    await locker.close()
  }

  private func killConnections(_ generator: inout SplitMix) throws {
    let client = RedisClient(server)
    let type = Bool.random(using: &generator) ? "normal" : "pubsub"
    try client("CLIENT", "KILL", "TYPE", type)
  }
}
