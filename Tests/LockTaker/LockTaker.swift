import AsyncRedisLock

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A process for the tests: takes a lock, does what its second argument says, and tells on its output.
///
/// Usage: `LockTaker URL MODE KEY TTL-MS EXTEND-MS`, or `LockTaker URL ordeal NAME` for what ``Ordeal`` does.
@main
enum LockTaker {
  /// What to do with the lock.
  enum Mode: String {
    /// Nothing, for ten minutes.
    case hold
    /// The same, after waiting for it without end.
    case wait
    /// Tells after five times the ttl whether it was held all the time.
    case keep
    /// Tells when it is not held any more.
    case watch
    /// As `keep`, with every thread of the cooperative pool blocked.
    case blockPool = "block-pool"
    /// As `keep`, with more queues of default priority blocked than Dispatch makes threads for.
    case blockQueues = "block-queues"
    /// As `keep`, after making a child by `fork(2)` that tells what it sees, and lets go of everything.
    case fork
    /// Tells how many sockets a program has that it starts.
    case spawn
    /// Takes other locks while a timer interrupts its system calls.
    case interrupt
    /// Connects without a descriptor to spare, and a thousand times in vain.
    case exhaust
    /// Takes no lock; only tells how connecting ended, and when.
    case connect
  }

  static func main() async throws {
    let arguments = CommandLine.arguments
    if arguments.count == 4, arguments[2] == "ordeal" {
      return await Ordeal.run(arguments[1], arguments[3])
    }
    guard arguments.count == 6, let mode = Mode(rawValue: arguments[2]),
      let ttl = Int(arguments[4]), let extend = Int(arguments[5])
    else {
      print("usage: LockTaker URL MODE KEY TTL-MS EXTEND-MS")
      exit(64)
    }
    let (url, key) = (arguments[1], arguments[3])
    let foreignSockets = mode == .spawn ? sockets(of: "self") : []
    if mode == .connect { return await connect(url) }
    let options = LockOptions(
      retry: .seconds(20), timeout: mode == .wait ? nil : .seconds(1),
      ttl: .milliseconds(ttl), extend: .milliseconds(extend))
    if mode == .fork { return try await fork(url, key, options) }
    let locker = try await Locker(url: url)
    let lock = try await take(key, options, locker)
    switch mode {
    case .hold, .wait, .fork, .connect: try await Task.sleep(for: .seconds(600))
    case .keep: keep(lock)
    case .watch: watch(lock)
    case .blockPool: blockPool(lock)
    case .blockQueues: blockQueues(lock)
    case .spawn: try await spawn(locker, url, foreignSockets)
    case .interrupt: try await interrupt(url, key)
    case .exhaust: try await exhaust(url, lock)
    }
  }

  /// Takes the lock, and says so.
  static func take(_ key: String, _ options: LockOptions, _ locker: Locker) async throws -> Lock {
    let lock = try await locker.acquire(key, options: options)
    say("held \(lock.token)")
    return lock
  }

  private static func connect(_ url: String) async {
    let start = ContinuousClock.now
    var outcome = "connected"
    do {
      try await Locker(url: url).acquire("\(getpid())").release()
    } catch {
      outcome = "\(error)"
    }
    say("\(outcome) after \((ContinuousClock.now - start) / .milliseconds(1)) ms")
  }

  /// Says a line that the test can read at once.
  static func say(_ line: String) {
    print(line)
    fflush(nil)
  }
}
