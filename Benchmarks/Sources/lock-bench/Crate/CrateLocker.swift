/// The algorithm of the Rust crate: scripts on one shared connection, and each release on a new one.
final class CrateLocker {
  /// The pause before a held lock is requested again.
  static let retryMilliseconds: UInt64 = 100

  let connection: HiredisConnection
  let scripts: ScriptDigests
  private let url: String

  init(url: String) throws {
    self.url = url
    connection = try HiredisConnection(url: url)
    scripts = try .crate(connection)
  }

  /// Requests each of the locks once, in one write, like tasks that share a connection.
  func tryAcquire(_ locks: [LockCommands]) throws -> [Bool] {
    for lock in locks { connection.append(lock.acquire) }
    return try locks.map { _ in LockCommands.isAcquired(try connection.reply()) }
  }

  /// Releases a lock.
  func release(_ lock: LockCommands) throws {
    try LockCommands.checkReleased(HiredisConnection(url: url).call(lock.release))
  }
}
