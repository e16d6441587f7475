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
      endThisProcess(in: 10)
      await misuse(&locker, &lock, key)
      // The child has copies of the sockets until it ends.
      usleep(2_500_000)
      _exit(0)
    }

    /// Forks 200 times while the Swift runtime is busy, and counts the children that hang.
    static func forkOften(_ url: String, _ key: String, _ options: LockOptions) async throws {
      var (locker, lock) = try await open(url, key, options)
      for _ in 0..<2 {
        Thread.detachNewThread { while true { makeTypes() } }
      }
      var hung = 0
      for _ in 0..<200 {
        let child = forkQuietly()
        if child == 0 {
          await misuse(&locker, &lock, key)
          _exit(0)
        }
        if !hasSucceeded(child) { hung += 1 }
      }
      say("of 200 children, \(hung) hung, held \(lock?.isHeld == true)")
      guard let locker else { return }
      hung = try await locker.withLock("body-\(key)", options: options) { body in
        await failInChildren(of: locker, body)
      }
      say("of 100 children of a body, \(hung) hung")
    }

    /// Forks a child that a signal ends if it hangs, and whose output is of no interest.
    private static func forkQuietly() -> pid_t {
      let child = Glibc.fork()
      if child == 0 {
        endThisProcess(in: 2)
        let null = unsafe Glibc.open("/dev/null", O_WRONLY)
        _ = dup2(null, 1)
      }
      return child
    }

    /// Forks children that ask for the lock of the body, and returns how many hung or got no error.
    ///
    /// Another thread has the mutex of that lock at some forks.
    private static func failInChildren(of locker: Locker, _ body: Lock) async -> Int {
      Thread.detachNewThread { while true { _ = body.isHeld } }
      var hung = 0
      for _ in 0..<100 {
        let child = forkQuietly()
        if child == 0 {
          _exit(await isClosed { _ = try await locker.acquire(body.keys) } ? 0 : 1)
        }
        if !hasSucceeded(child) { hung += 1 }
      }
      return hung
    }

    /// Waits for the end of a child, and returns whether its status is 0.
    private static func hasSucceeded(_ child: pid_t) -> Bool {
      var status: Int32 = 0
      while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
      return status == 0
    }

    /// Ends a child that hangs, by a signal, which Dispatch's threads block.
    private static func endThisProcess(in seconds: UInt32) {
      var signals = sigset_t()
      _ = unsafe sigemptyset(&signals)
      _ = unsafe sigaddset(&signals, SIGALRM)
      _ = unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
      alarm(seconds)
    }

    private static func misuse(_ locker: inout Locker?, _ lock: inout Lock?, _ key: String) async {
      tell(lock?.isHeld == false && lock?.remaining == .zero, "child holds nothing\n")
      tell(await isClosed { _ = try await lock?.release() }, "child release: closed\n")
      tell(
        await isClosed { _ = try await lock?.extend(by: .seconds(60)) }, "child extend: closed\n")
      tell(await isClosed { _ = try await locker?.acquire("other") }, "child acquire: closed\n")
      tell(await isClosed { _ = try await locker?.inspect(key) }, "child inspect: closed\n")
      for call in 0..<6 {
        let isClosed = await isClosed {
          switch call {
          case 0: _ = try await locker?.acquireIfAvailable("other")
          case 1: try await locker?.withLock("other") { _ in }
          case 2: _ = try await locker?.forceRelease(key)
          case 3: _ = try await locker?.ping()
          case 4: _ = try await lock?.detach()
          default:
            _ = try await locker?.adopt(DetachedLock(keys: [key], token: "rl1", fencingToken: nil))
          }
        }
        if !isClosed { tell(true, "child: no error\n") }
      }
      try? await lock?.waitUntilLost()
      try? await locker?.closeWhenReleased()
      await locker?.close()
      lock = nil
      locker = nil
      tell(true, "child let go\n")
    }

    /// Makes the runtime create types and look for their conformances, for which it needs its mutexes.
    ///
    /// A fork leaves a child mutexes that no thread will ever unlock; so the child must not need them.
    private static func makeTypes() {
      var type: any Hashable.Type = Int.self
      for _ in 0..<12 {
        let outer: Any.Type = nested(type, Int.random(in: 0..<3))
        type = outer as? any Hashable.Type ?? type
      }
    }

    private static func nested<Value: Hashable>(
      _: Value.Type, _ choice: Int
    ) -> Any.Type {
      switch choice {
      case 0: Value?.self
      case 1: [Value].self
      default: Set<Value>.self
      }
    }

    /// Writes a line if it is true, without the standard library's output, which needs the runtime's mutexes.
    private static func tell(_ isTrue: Bool, _ line: StaticString) {
      if isTrue { _ = unsafe write(1, line.utf8Start, line.utf8CodeUnitCount) }
    }

    private static func isClosed(_ call: () async throws -> Void) async -> Bool {
      do {
        try await call()
        return false
      } catch let error as LockError {
        return error.code == .closed
      } catch {
        return false
      }
    }
  #else
    /// Swift does not offer `fork(2)` here.
    static func fork(_ url: String, _ key: String, _ options: LockOptions) async throws {
      say("no fork")
    }

    static func forkOften(_ url: String, _ key: String, _ options: LockOptions) async throws {
      try await fork(url, key, options)
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
