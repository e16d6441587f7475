import AsyncRedisLock
import Logging

#if Metrics && Tracing && ServiceLifecycle
  import CoreMetrics
  import ServiceLifecycle
  import Tracing
  import UnixSignals
#endif

// The compiled code of the README and of the articles: `SnippetTests` looks up each block here.

struct Report: Sendable {}
struct Overtaken: Error {}
struct Database: Sendable {
  func update(balance: Int, fence: Int64) async throws -> Int { 1 }
}

func bill(fence: UInt64?) async throws {}
func bill() async throws {}
func sumUp() async throws -> Int { 0 }
func makeReport() async throws -> Report { Report() }
func transfer() async throws {}
func lead() async {}

func firstScreen() async throws {
  let locker = try await Locker(url: "redis://127.0.0.1:6379")

  try await locker.withLock("invoices") { lock in
    try await bill(fence: lock.fencingToken)
  }
}

func scoped(_ locker: Locker) async throws -> (Int, Report?) {
  let total = try await locker.withLock("invoices") { _ in
    try await sumUp()
  }

  // Once, without waiting: nil if another process holds the lock.
  let report: Report? = try await locker.withLockIfAvailable("nightly-report") { _ in
    try await makeReport()
  }
  return (total, report)
}

func byHandle(_ locker: Locker) async throws {
  let lock = try await locker.acquire("from-account", "to-account")
  try await transfer()
  switch try await lock.release() {
  case .released: break
  case .expired, .deleted, .takenByAnother: print("the lock was lost before it was released")
  }
}

func leave(_ lock: Lock) async throws -> DetachedLock {
  let check = try await lock.detach()  // Codable: send it to the other process.
  return check
}

func takeOver(_ check: DetachedLock, _ locker: Locker) async throws -> Lock {
  let lock = try await locker.adopt(check)  // There, within the ttl.
  return lock
}

func watched(_ locker: Locker) async throws {
  let lock = try await locker.acquire("leader", options: LockOptions(timeout: nil))
  await withTaskGroup { group in
    group.addTask { await lead() }
    group.addTask { try? await lock.waitUntilLost(within: .milliseconds(500)) }
    await group.next()
    group.cancelAll()
  }
  try await lock.release()
}

func errors(_ locker: Locker) async throws {
  do {
    try await locker.withLock("invoices") { _ in try await transfer() }
  } catch LockError.Code.timeout {
    print("another process holds the lock")
  } catch LockError.Code.lost {
    print("the lock was lost while the body ran")
  } catch let error as LockError where error.isRetryable {
    print("try again later: \(error)")
  }
}

func fenced(_ locker: Locker, _ database: Database) async throws {
  try await locker.withLock("account-42") { lock in
    guard let fence = lock.fencingToken else {
      preconditionFailure("fencing is off")
    }
    // The statement above, for the account 42.
    let rows = try await database.update(balance: 100, fence: Int64(fence))
    guard rows == 1 else { throw Overtaken() }
  }
}

// MARK: Getting started

func gettingStarted() async throws {
  let locker = try await Locker(url: "redis://127.0.0.1:6379")

  let patient = LockOptions(timeout: .seconds(30))
  try await locker.withLock("invoices", options: patient) { _ in
    try await bill()
  }

  do {
    try await locker.withLock("invoices") { _ in try await bill() }
  } catch LockError.Code.lost {
    print("another process may have billed meanwhile")
  }

  let task = Task {
    try await locker.acquire("invoices", options: patient)
  }
  task.cancel()
}

// MARK: Errors

func moreErrors(_ locker: Locker) async throws {
  do {
    let lock = try await locker.acquire("invoices")
    try await bill()
    try await lock.release()
  } catch let error as LockError where error.code == .timeout {
    let holder = error.holder?.description ?? "another holder"
    print("waited \(error.waited ?? .zero) for \(holder)")
  } catch let error as LockError where error.isRetryable {
    print("later: \(error)")
  }
}

// MARK: Safety

struct Bucket: Sendable {
  enum Condition {
    case matches(String)
    case isAbsent
  }

  func get(_ name: String) async throws -> (body: String, etag: String)? { nil }
  func put(_ name: String, _ body: String, onlyIf condition: Condition) async throws -> Bool {
    true
  }
}

func replaceReport(
  _ lines: String, fence: UInt64, in bucket: Bucket
) async throws {
  while true {
    let current = try await bucket.get("report.csv")
    let former = current?.body.split(separator: "\n").first
    guard (former.flatMap { UInt64($0) } ?? 0) <= fence else {
      throw Overtaken()
    }
    let isWritten = try await bucket.put(
      "report.csv", "\(fence)\n\(lines)",
      onlyIf: current.map { .matches($0.etag) } ?? .isAbsent)
    if isWritten { return }
  }
}

func keepHandle(_ locker: Locker) async throws {
  if let lock = try await locker.acquireIfAvailable("invoices") {
    try await bill()
    try await lock.release()
  }
}

// MARK: In a service

#if Metrics && Tracing && ServiceLifecycle
  func run(
    _ server: some Service, metrics: some MetricsFactory, tracer: some Tracer,
    redisURL: String, logger: Logger
  ) async throws {
    MetricsSystem.bootstrap(metrics)
    InstrumentationSystem.bootstrap(tracer)

    var configuration = try LockerConfiguration(url: redisURL)
    configuration.label = "billing"
    configuration.lockOptions = LockOptions(timeout: .seconds(5))
    let locker = try Locker(
      connectingLazilyTo: configuration, logger: logger)

    var services = ServiceGroupConfiguration(
      // The first is shut down last: what uses the locker comes after it.
      services: [.init(service: locker), .init(service: server)],
      gracefulShutdownSignals: [.sigterm], logger: logger)
    services.maximumGracefulShutdownDuration = .seconds(30)
    try await ServiceGroup(configuration: services).run()
  }
#endif

func order(
  _ id: String, for customer: String, _ locker: Locker, _ logger: Logger
) async throws -> Bool {
  do {
    let key = "customer:\(customer)"
    try await locker.withLock(key, logger: logger) { lock in
      try await bill(fence: lock.fencingToken)
    }
    return true
  } catch LockError.Code.timeout {
    return false  // Another request serves this customer: 409 Conflict.
  }
}

func lockingByMajority() async throws -> Locker {
  let locker = try await Locker(urls: [
    "redis://locks-1.internal", "redis://locks-2.internal",
    "redis://locks-3.internal",
  ])
  return locker
}

struct IdentityService: Sendable {
  func token(for user: String) async throws -> String { user }
}

func askingForCredentials(_ identity: IdentityService) async throws -> Locker {
  var configuration = try LockerConfiguration(url: "redis://cache.example.com")
  configuration.credentials = .init {
    let token = try await identity.token(for: "billing")
    return (username: "billing", password: Password(token))
  }
  configuration.connectTimeout = .seconds(3)  // For the token, too.
  let locker = try await Locker(configuration: configuration)
  return locker
}
