/// The commands that take, extend and release one key.
struct LockCommands {
  let acquire: PreparedCommand
  let extend: PreparedCommand
  let release: PreparedCommand
  private let tokenInAcquire: Int
  private var sequence: UInt64 = 0

  /// The floor's commands: `SET`, as in the library, and scripts that compare.
  static func floor(
    _ key: String, ttl: Int = WorkerOrder.ttl, _ scripts: ScriptDigests
  ) -> LockCommands {
    LockCommands(acquire: { ["SET", key, $0, "NX", "PX", "\(ttl)"] }, 2, key, ttl, scripts)
  }

  /// The crate's commands: only scripts.
  static func crate(
    _ key: String, ttl: Int = WorkerOrder.ttl, _ scripts: ScriptDigests
  ) -> LockCommands {
    LockCommands(
      acquire: { ["EVALSHA", scripts.acquire, "1", key, $0, "\(ttl)"] }, 4, key, ttl, scripts)
  }

  private init(
    acquire: (String) -> [String], _ tokenInAcquire: Int, _ key: String, _ ttl: Int,
    _ scripts: ScriptDigests
  ) {
    // 32 digits, for 128 random bits; the last 16 digits count the acquisitions.
    let random = UInt64.random(in: 1 << 60 ... .max)
    let token = String(random, radix: 16) + String(repeating: "0", count: 16)
    self.acquire = PreparedCommand(acquire(token))
    self.tokenInAcquire = tokenInAcquire
    extend = PreparedCommand("EVALSHA", scripts.extend, "1", key, token, "\(ttl)")
    release = PreparedCommand("EVALSHA", scripts.release, "1", key, token)
  }

  /// Makes the token of the next acquisition.
  mutating func renew() {
    sequence += 1
    acquire.write(sequence, into: tokenInAcquire)
    extend.write(sequence, into: 4)
    release.write(sequence, into: 4)
  }

  /// Tells whether a reply to ``acquire`` means that the lock is taken.
  static func isAcquired(_ reply: HiredisReply) -> Bool { reply == .ok || reply == .integer(1) }

  /// Checks the reply to ``acquire`` for an uncontended lock.
  static func checkAcquired(_ reply: HiredisReply) throws {
    guard isAcquired(reply) else { throw BenchError("an uncontended lock was not taken") }
  }

  /// Checks the reply to ``release``.
  static func checkReleased(_ reply: HiredisReply) throws {
    guard reply == .integer(1) else { throw BenchError("a lock was lost before its release") }
  }
}
