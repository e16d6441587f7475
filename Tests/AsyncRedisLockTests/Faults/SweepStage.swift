import AsyncRedisLock
import FaultProxy
import Foundation
import Logging
import PrivateRedis
import Testing

/// One message to spoil, in one way.
struct SweepPoint: Sendable {
  let operation: SweepOperation
  let direction: FaultProxy.Direction
  /// The number of the message among those of the operation.
  let index: Int
  let fault: Fault
  let route: SweepRoute

  var text: String { "\(operation.rawValue), \(direction) \(index), \(fault), \(route)" }
}

/// The way to the server, which a proxy spoils.
enum SweepRoute: Sendable, CustomStringConvertible {
  case tcp
  case unixSocket
  /// A port of the server for TLS, and the file with the authority of its certificate.
  case tls(port: Int, authority: String)

  var isEncrypted: Bool { if case .tls = self { true } else { false } }

  var description: String {
    switch self {
    case .tcp: "TCP"
    case .unixSocket: "Unix socket"
    case .tls: "TLS"
    }
  }
}

/// A locker behind a proxy that spoils one message, and the violations found so far.
final class SweepStage: Sendable {
  private let operation: SweepOperation
  private let isEncrypted: Bool
  /// Nil if no message is to be spoilt and all are remembered.
  private let point: SweepPoint?
  let key = uniqueKey("sweep")
  let options: LockOptions
  let locker: Locker
  /// An undisturbed locker.
  let other: Locker
  private let proxy: FaultProxy
  private let server: RedisServer
  private let findings = Shared<[String]>([])
  private let seen = Shared<[FaultProxy.Message]>([])
  private let struck = Shared(false)

  static let operationTimeout = Duration.milliseconds(100)
  /// Long enough for the poll that finds an untold grant.
  private static let timeout = Duration.seconds(10)

  init(
    _ operation: SweepOperation, _ point: SweepPoint?, on server: RedisServer,
    by route: SweepRoute, other: Locker
  ) async throws {
    isEncrypted = route.isEncrypted
    self.operation = operation
    self.point = point
    self.server = server
    self.other = other
    options = LockOptions(
      retry: .milliseconds(20), timeout: Self.timeout, ttl: point?.ttl ?? .seconds(20), extend: nil)
    let url: String
    switch route {
    case .tcp:
      proxy = try FaultProxy(to: server)
      url = proxy.url
    case .unixSocket:
      proxy = try FaultProxy(to: server, .unixSocket)
      url = proxy.url
    case .tls(let port, let authority):
      proxy = try FaultProxy(to: server, port: port)
      url = proxy.url.replacing("redis://", with: "rediss://") + "?cacert=\(authority)"
    }
    var configuration = try LockerConfiguration(url: url)
    configuration.operationTimeout = Self.operationTimeout
    // Silent, since each of thousands of lost connections would log a message.
    let silent = Logger(label: "sweep") { _ in SwiftLogNoOpLogHandler() }
    locker = try await Locker(configuration: configuration, logger: silent)
  }

  /// Spoils the message from now on, once.
  func arm() {
    proxy.setScript { [operation, isEncrypted, point, seen, struck] message in
      guard isEncrypted ? operation.concernsRecord(message) : operation.concerns(message)
      else { return .forward }
      guard let point else {
        seen.value.append(message)
        if message.direction == .replies { struck.value = true }
        return .forward
      }
      guard !struck.value, message.direction == point.direction else { return .forward }
      seen.value.append(message)
      guard seen.value.count == point.index + 1 else { return .forward }
      struck.value = true
      return point.fault
    }
  }

  /// The operation's messages so far.
  var messages: [FaultProxy.Message] { seen.value }
  /// Whether the message was spoilt; without one to spoil, whether the operation was answered.
  var hasStruck: Bool { struck.value }
  var problems: [String] { findings.value }

  /// Whether the message comes after the end of the lock.
  var isLate: Bool { point?.isLate ?? false }

  func note(_ problem: String) { findings.value.append(problem) }

  // MARK: Checks

  func value(of key: String) throws -> String? { try RedisClient(server)("GET", key).string }

  /// Waits until the message was spoilt, for a moment at most.
  func strike() async {
    let end = ContinuousClock.now + .seconds(5)
    while !hasStruck, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(2)) }
  }

  /// Waits until the locker is in the queue for the key.
  func awaitEntry() async throws {
    await eventually { try server.queue(of: key).count == 1 }
  }

  /// Checks that a handle and the server agree.
  func checkAgreement(_ lock: Lock) throws {
    let end = ContinuousClock.now + lock.remaining
    guard lock.isHeld else { return }
    for key in lock.keys {
      let (value, left) = (try value(of: key), try RedisClient(server)("PTTL", key).integer ?? 0)
      let early = ContinuousClock.now.advanced(by: .milliseconds(left + 1)).duration(to: end)
      // The lock may have ended between the two reads.
      guard lock.isHeld else { return }
      if value != lock.token {
        note("held, but on the server: \(value ?? "no holder")")
      } else if early > .zero {
        note("held for \(early) longer than on the server")
      }
    }
  }

  /// Checks how an acquisition ended, and gives back its lock.
  func settle(_ attempt: Attempt<Lock>) async throws {
    if let lock = attempt.value {
      try checkAgreement(lock)
      try await giveBack(lock)
    } else if ![.unreachable, .timeout].contains(attempt.error?.code) {
      note("\(attempt.result)")
    }
    if attempt.duration > Self.timeout + .inTime { note("took \(attempt.duration)") }
  }

  func giveBack(_ lock: Lock) async throws {
    let outcome = await Attempt { try await lock.release() }
    if lock.isHeld { note("held after its release") }
    if let code = outcome.error?.code, code != .unreachable { note("release: \(code)") }
  }

  /// Waits until no delayed message is under way.
  func quiet() async {
    if case .delay(let duration)? = point?.fault { try? await Task.sleep(for: duration) }
  }

  /// Checks that the next call works, and that nothing is left of the previous one.
  func finish() async throws {
    let key = key + "-next"
    let next = await Attempt {
      let lock = try await locker.acquire(key, options: LockOptions(timeout: Self.timeout))
      let end = ContinuousClock.now + Self.timeout
      // An acquisition tries again by itself. The time for one answer may be short on a busy machine.
      while true {
        do {
          return try await lock.release()
        } catch  where ContinuousClock.now > end || (error as? LockError)?.code != .unreachable {
          throw error
        } catch {}
      }
    }
    if next.value != .released { note("the next call: \(next.result)") }
    await quiet()
    let names = [self.key, self.key + "-2", key].flatMap {
      [$0, "redis-lock:queue:{\($0)}", "redis-lock:entries:{\($0)}"]
    }
    let end = ContinuousClock.now + .seconds(5)
    while try RedisClient(server)(words: ["EXISTS"] + names) != .integer(0) {
      if ContinuousClock.now > end {
        let values = try names.map { "\($0): \(try RedisClient(server)("EXISTS", $0))" }
        return note("left behind: \(values)")
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    await locker.close()
    proxy.stop()
  }
}

extension SweepPoint {
  /// The ttl: short if the message is to come after the end of the lock.
  ///
  /// Otherwise it is long, so that only the library can have removed a key that is gone.
  var ttl: Duration {
    // A waiter polls three times within it.
    isLate ? .milliseconds(150) : operation == .grant ? .seconds(6) : .seconds(20)
  }

  /// Whether the message comes after the end of the lock.
  var isLate: Bool {
    if case .delay(let duration) = fault { duration > .milliseconds(200) } else { false }
  }
}
