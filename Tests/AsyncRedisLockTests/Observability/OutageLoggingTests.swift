import FaultProxy
import InMemoryLogging
import Logging
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Log messages about an outage", .timeLimit(.minutes(2)))
struct OutageLoggingTests {
  private let handler = InMemoryLogHandler()

  private var logger: Logger {
    var logger = Logger(label: "test") { _ in handler }
    logger.logLevel = .debug
    return logger
  }

  private func messages(_ level: Logger.Level) -> [String] {
    handler.entries.filter { $0.level == level }.map(\.message.description)
  }

  @Test(
    "An outage is logged when it begins, with the locks that it threatens, and when it ends",
    .redisServer())
  func outage() async throws {
    let server = RedisServer.current
    var configuration = try LockerConfiguration(url: server.url)
    configuration.label = "billing"
    let locker = try await Locker(configuration: configuration, logger: logger)
    let options = LockOptions(ttl: .seconds(30), extend: .milliseconds(100))
    var locks: [Lock] = []
    for index in 0..<3 {
      locks.append(try await locker.acquire(uniqueKey("outage\(index)"), options: options))
    }
    server.kill()
    await eventually { messages(.notice).count == 1 && messages(.warning).count == 1 }
    let begin = try #require(messages(.notice).first)
    #expect(begin.hasPrefix("Lost connection to Redis \(configuration.address) ("))
    #expect(begin.hasSuffix("); reconnecting"))
    let warning = try #require(messages(.warning).first)
    #expect(warning.hasPrefix("Cannot extend 3 locks; first expires in "))
    // Further attempts fail, and are logged only at debug.
    await eventually { messages(.debug).count { $0.hasPrefix("An extension failed") } > 2 }
    #expect(messages(.notice).count == 1 && messages(.warning).count == 1)
    try server.restart()
    await eventually { messages(.notice).count == 2 }
    #expect(messages(.notice).last?.hasPrefix("Reconnected after ") == true)
    for entry in handler.entries {
      #expect(entry.metadata["redis-lock.locker"] == .string(locker.id), "\(entry.message)")
      #expect(entry.metadata["redis-lock.label"] == "billing", "\(entry.message)")
      #expect(entry.metadata["redis-lock.server"] != nil, "\(entry.message)")
      let start = entry.message.description.first
      #expect(start?.isUppercase == true, "\(entry.message)")
    }
    for lock in locks { _ = try? await lock.release() }
  }
}

@Suite("The parts of an outage that are logged", .timeLimit(.minutes(2)))
struct OutageStateTests {
  private let start = Instant.now

  @Test("A connection lost while in use is logged at once, and again only after its return")
  func lost() {
    var state = OutageState(isFirstAwaited: true)
    #expect(state.connected(at: start) == .first && state.isConnected)
    #expect(state.disconnected(isIdle: false, at: start + .seconds(1)) == .lost)
    #expect(!state.isConnected)
    #expect(state.disconnected(isIdle: true, at: start + .seconds(2)) == .nothing)
    let end = state.connected(at: start + .seconds(5))
    #expect(end == .again(after: .seconds(4), wasTold: true))
    #expect(state.disconnected(isIdle: false, at: start + .seconds(6)) == .lost)
  }

  @Test("A connection that ends while idle is logged only if the next one fails")
  func idle() {
    var state = OutageState(isFirstAwaited: true)
    _ = state.connected(at: start)
    #expect(state.disconnected(isIdle: true, at: start) == .nothing)
    #expect(state.connected(at: start + .seconds(1)) == .again(after: .seconds(1), wasTold: false))
    #expect(state.disconnected(isIdle: true, at: start + .seconds(2)) == .nothing)
    #expect(state.disconnected(isIdle: true, at: start + .seconds(3)) == .lost)
  }

  @Test("A failed first connection is logged only if no caller gets an error")
  func first() {
    var awaited = OutageState(isFirstAwaited: true)
    #expect(awaited.disconnected(isIdle: false, at: start) == .nothing)
    var lazy = OutageState(isFirstAwaited: false)
    #expect(lazy.disconnected(isIdle: true, at: start) == .cannotConnect)
    #expect(lazy.disconnected(isIdle: true, at: start) == .nothing)
    #expect(lazy.connected(at: start + .seconds(2)) == .late(after: .seconds(2)))
  }
}

@Suite("The frequency of warnings", .timeLimit(.minutes(2)))
struct WarningLimitTests {
  private let start = Instant.now

  @Test("The first warning of a kind is logged, and those of the next minute are counted")
  func limited() {
    var limit = WarningLimit()
    #expect(limit.admit(.lockLost, at: start) == .say)
    #expect(limit.admit(.extensionLate, at: start) == .say, "kinds are limited separately")
    let second = limit.admit(.lockLost, at: start + .seconds(20))
    #expect(second == .count(summaryAfter: .seconds(40)))
    #expect(limit.admit(.lockLost, at: start + .seconds(30)) == .count(summaryAfter: nil))
    #expect(limit.takeSummary(of: .lockLost, at: start + .seconds(60)) == 2)
    #expect(limit.takeSummary(of: .lockLost, at: start + .seconds(60)) == 0)
    // The count was a warning, too.
    let third = limit.admit(.lockLost, at: start + .seconds(70))
    #expect(third == .count(summaryAfter: .seconds(50)))
    #expect(limit.takeSummary(of: .lockLost, at: start + .seconds(120)) == 1)
    #expect(limit.admit(.lockLost, at: start + .seconds(180)) == .say)
  }

  @Test("A warning that comes before an overdue count waits for it")
  func overdue() {
    var limit = WarningLimit()
    _ = limit.admit(.lockDropped, at: start)
    _ = limit.admit(.lockDropped, at: start + .seconds(1))
    #expect(
      limit.admit(.lockDropped, at: start + .seconds(100)) == .count(summaryAfter: nil))
    #expect(limit.takeSummary(of: .lockDropped, at: start + .seconds(101)) == 2)
  }

  @Test(
    "A count of warnings reads as a sentence, whatever their kind",
    arguments: WarningLimit.Kind.allCases)
  func summary(_ kind: WarningLimit.Kind) {
    for count in [1, 12] {
      let text = kind.summary(of: count)
      #expect(text.contains("\(count) more") && text.first?.isLowercase == false, "\(text)")
    }
  }
}
