import AsyncRedisLock

// The code of the README and of the articles, compiled: `SnippetTests` looks up each block in here.

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
func lead(for duration: Duration) async throws {}

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

  // Once, without waiting: nil when somebody else is at it.
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
  case .expired, .takenByAnother: print("the lock was lost before it was released")
  }
}

func leave(_ lock: Lock) async throws -> ClaimCheck {
  let check = try await lock.detach()  // Codable: send it to the other process.
  return check
}

func takeOver(_ check: ClaimCheck, _ locker: Locker) async throws -> Lock {
  let lock = try await locker.adopt(check)  // There, within the ttl.
  return lock
}

func watched(_ locker: Locker) async throws {
  let lock = try await locker.acquire("leader")
  while lock.isHeld {
    try await lead(for: .seconds(1))
  }
  print("lost: \(lock.lossReason.map { "\($0)" } ?? "released")")
}

func errors(_ locker: Locker) async throws {
  do {
    try await locker.withLock("invoices") { _ in try await transfer() }
  } catch LockError.Code.timeout {
    print("somebody else is at it")
  } catch LockError.Code.lost {
    print("the lock was lost while the body ran")
  } catch let error as LockError where error.isRetryable {
    print("try again later: \(error)")
  }
}

func fenced(_ locker: Locker, _ database: Database) async throws {
  try await locker.withLock("account-42") { lock in
    let fence = Int64(clamping: lock.fencingToken ?? 0)
    // The statement above, for the account 42.
    let rows = try await database.update(balance: 100, fence: fence)
    guard rows == 1 else { throw Overtaken() }
  }
}

// MARK: Getting started

func gettingStarted() async throws {
  let locker = try await Locker(url: "redis://127.0.0.1:6379")

  try await locker.withLock("invoices") { lock in
    print("I hold \(lock.keys), with the number \(lock.fencingToken ?? 0)")
    try await Task.sleep(for: .seconds(10))
  }

  let patient = LockOptions(timeout: .seconds(30))
  try await locker.withLock("invoices", options: patient) { _ in
    try await bill()
  }

  do {
    try await locker.withLock("invoices") { _ in try await bill() }
  } catch LockError.Code.lost {
    print("somebody else may have billed meanwhile")
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
    let holder = error.holder?.description ?? "somebody"
    print("held by \(holder) for \(error.waited ?? .zero)")
  } catch let error as LockError where error.isRetryable {
    print("later: \(error)")
  }
}

// MARK: Safety

struct Bucket: Sendable {
  func head(_ name: String) async throws -> (etag: String, fence: UInt64) { ("", 0) }
  func put(_ name: String, _ body: [UInt8], ifMatch etag: String, fence: UInt64) async throws
    -> Bool
  {
    true
  }
}

func replaceReport(
  _ body: [UInt8], fence: UInt64, in bucket: Bucket
) async throws {
  while true {
    let current = try await bucket.head("report.json")
    guard current.fence <= fence else { throw Overtaken() }
    let isWritten = try await bucket.put(
      "report.json", body, ifMatch: current.etag, fence: fence)
    if isWritten { return }
  }
}
