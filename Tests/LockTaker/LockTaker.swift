import AsyncRedisLock

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A process for the tests: takes a lock, does what its second argument says, and reports on its output.
///
/// Usage: `LockTaker URL MODE KEY TTL-MS EXTEND-MS`, `LockTaker URL ordeal NAME` for ``Ordeal``, or
/// `LockTaker thread FILE` to take no lock and show signs of life by another thread than the first.
/// `LockTaker invert` takes mutexes of the library in both orders.
/// `LockTaker hang FOLDER` is for ``HungFile``, and `LockTaker try-hang FOLDER` finds out whether that is possible.
@main
enum LockTaker {
  /// The use of the lock.
  enum Mode: String {
    /// Does nothing for ten minutes.
    case hold
    /// Does the same, after waiting for the lock without a time limit.
    case wait
    /// Reports after five times the ttl whether the lock was held all the time.
    case keep
    /// Reports when the lock is no longer held.
    case watch
    /// Does the same as `keep`, with every thread of the cooperative pool blocked.
    case blockPool = "block-pool"
    /// Does the same as `keep`, with more queues of default priority blocked than Dispatch makes threads for.
    case blockQueues = "block-queues"
    /// Does the same as `keep`, after making a child by `fork(2)` that reports what it sees and lets go of
    /// everything.
    case fork
    /// Reports how many of 200 children made by `fork(2)` hang when they let go of everything.
    case forkOften = "fork-often"
    /// Reports how many sockets a child program has.
    case spawn
    /// Takes other locks while a timer interrupts its system calls.
    case interrupt
    /// Connects without a descriptor to spare, and a thousand times in vain.
    case exhaust
    /// Takes no lock; only reports how connecting ended, and when.
    case connect
  }

  static func main() async throws {
    let arguments = CommandLine.arguments
    if arguments.count == 4, arguments[2] == "ordeal" {
      return await Ordeal.run(arguments[1], arguments[3])
    }
    if arguments.count == 3, arguments[1] == "thread" { LoneThread.run(arguments[2]) }
    if arguments.dropFirst() == ["invert"] { return MutexOrder.invert() }
    #if os(Linux)
      if arguments.count == 4, arguments[1] == "count", let signal = Int32(arguments[2]),
        let times = Int(arguments[3])
      {
        SignalCount.run(signal, times: times)
      }
      if arguments.count >= 3, arguments[1].hasSuffix("hang") {
        HungFile.run(at: arguments[2], isTrial: arguments[1] != "hang")
      }
    #endif
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
    if mode == .forkOften { return try await forkOften(url, key, options) }
    let locker = try await Locker(url: url)
    let lock = try await take(key, options, locker)
    switch mode {
    case .hold, .wait, .fork, .forkOften, .connect: try await Task.sleep(for: .seconds(600))
    case .keep: keep(lock)
    case .watch: watch(lock)
    case .blockPool: blockPool(lock)
    case .blockQueues: blockQueues(lock)
    case .spawn: try await spawn(locker, url, foreignSockets)
    case .interrupt: try await interrupt(url, key)
    case .exhaust: try await exhaust(url, lock)
    }
  }

  /// Takes the lock, and reports it.
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

  /// Prints a line that the test can read at once.
  static func say(_ line: String) {
    print(line)
    fflush(nil)
  }
}
