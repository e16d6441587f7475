import AsyncRedisLock
import Foundation

/// Processes that begin with copies of this one's open descriptors.
extension LockTaker {
  #if os(Linux)
    /// Forks, and makes the child misuse its handles as a program might by mistake.
    static func fork(_ url: String, _ key: String, _ options: LockOptions) async throws {
      var (locker, lock) = try await open(url, key, options)
      guard Glibc.fork() == 0 else {
        if let lock { keep(lock) }
        return
      }
      say("child isHeld \(lock?.isHeld == true), remaining \(lock?.remaining ?? .seconds(1))")
      say("child release: \(await code { try await lock?.release() })")
      say("child extend: \(await code { try await lock?.extend(by: .seconds(60)) })")
      say("child acquire: \(await code { try await locker?.acquire("other") })")
      say("child inspect: \(await code { try await locker?.inspect(key) })")
      await locker?.close()
      lock = nil
      locker = nil
      say("child let go")
      // The child has copies of the sockets until it ends.
      usleep(2_500_000)
      _exit(0)
    }
  #else
    /// Swift does not offer `fork(2)` here.
    static func fork(_ url: String, _ key: String, _ options: LockOptions) async throws {
      say("no fork")
    }
  #endif

  private static func open(
    _ url: String, _ key: String, _ options: LockOptions
  ) async throws -> (Locker?, Lock?) {
    let locker = try await Locker(url: url)
    try await openInbox(of: locker, url)
    return (locker, try await take(key, options, locker))
  }

  /// Waits for a lock, which opens a second connection.
  private static func openInbox(of locker: Locker, _ url: String) async throws {
    let (other, key) = (try await Locker(url: url), "another-\(getpid())")
    let lock = try await other.acquire(key)
    _ = try? await locker.acquire(key, options: LockOptions(timeout: .milliseconds(200)))
    try await lock.release()
  }

  private static func code<Value>(_ call: () async throws -> Value) async -> String {
    do {
      _ = try await call()
      return "no error"
    } catch let error as LockError {
      return "\(error.code)"
    } catch {
      return "\(error)"
    }
  }

  /// Starts another program, and counts the sockets it inherited from the library.
  static func spawn(_ locker: Locker, _ url: String, _ foreign: Set<String>) async throws {
    try await openInbox(of: locker, url)
    let own = sockets(of: "self").subtracting(foreign)
    var id: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe [strdup("sleep"), strdup("60"), nil]
    let status = unsafe posix_spawn(&id, "/bin/sleep", nil, nil, &arguments, environ)
    // The new program has replaced the copy of this one once its name has changed.
    while status == 0, name(of: id) != "sleep" { usleep(1000) }
    let passedOn = sockets(of: "\(id)").intersection(own)
    say("has \(own.count) sockets, passed on \(passedOn.count), status \(status)")
    _ = kill(id, SIGKILL)
  }

  private static func name(of id: pid_t) -> String? {
    let text = try? String(contentsOfFile: "/proc/\(id)/comm", encoding: .utf8)
    return text?.trimmingCharacters(in: .newlines)
  }

  /// The sockets that a process has open.
  static func sockets(of process: String) -> Set<String> {
    let folder = "/proc/\(process)/fd"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let targets = names.compactMap { name in
      try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)")
    }
    return Set(targets.filter { $0.hasPrefix("socket:") })
  }
}
