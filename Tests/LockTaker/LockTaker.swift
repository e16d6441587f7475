import AsyncRedisLock
import Dispatch

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A process for the tests: takes a lock, does what its second argument says, and tells on its output.
///
/// Usage: `LockTaker URL (hold|wait|block-pool) KEY TTL-MS EXTEND-MS`
@main
enum LockTaker {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 6, let ttl = Int(arguments[4]), let extend = Int(arguments[5]) else {
      print("usage: LockTaker URL (hold|wait|block-pool) KEY TTL-MS EXTEND-MS")
      exit(64)
    }
    let locker = try await Locker(url: arguments[1])
    let lock = try await locker.acquire(
      arguments[3],
      options: LockOptions(
        retry: .seconds(20), timeout: arguments[2] == "wait" ? nil : .seconds(1),
        ttl: .milliseconds(ttl), extend: .milliseconds(extend)))
    say("held \(lock.token)")
    switch arguments[2] {
    case "hold", "wait": try await Task.sleep(for: .seconds(600))
    default: blockPool(with: lock)
    }
  }

  /// Blocks every thread of the cooperative pool for five times the ttl, and tells from outside of it
  /// whether the lock was held all the time.
  private static func blockPool(with lock: Lock) -> Never {
    DispatchQueue.global(qos: .userInteractive).async {
      let end = ContinuousClock.now + lock.remaining * 5
      var wasHeld = true
      while ContinuousClock.now < end {
        wasHeld = wasHeld && lock.isHeld
        usleep(1000)
      }
      say(wasHeld ? "kept" : "lost")
      exit(0)
    }
    for _ in 0..<64 { Task { _ = sleep(600) } }
    // This thread, too: a body that never gives its thread back.
    while true { _ = sleep(600) }
  }

  private static func say(_ line: String) {
    print(line)
    fflush(nil)
  }
}
