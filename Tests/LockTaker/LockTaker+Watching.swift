import AsyncRedisLock
import Foundation

/// Watches the lock all the time, on a thread that does nothing else.
extension LockTaker {
  /// Reports whether the lock is held for five times its ttl, and ends the process.
  static func keep(_ lock: Lock) -> Never {
    tellWhetherKept(lock)
    sleepForEver()
  }

  /// Watches while every thread of the cooperative pool is blocked.
  static func blockPool(_ lock: Lock) -> Never {
    tellWhetherKept(lock)
    for _ in 0..<64 { Task { _ = sleep(600) } }
    // Blocks this thread, too: a body that never gives its thread back.
    sleepForEver()
  }

  /// Watches while more queues are blocked than Dispatch has threads for.
  static func blockQueues(_ lock: Lock) -> Never {
    for number in 0..<300 {
      DispatchQueue(label: "blocked-\(number)").async { _ = sleep(600) }
    }
    tellWhetherKept(lock)
    // A timer of the same priority must not fire any more; otherwise this test would show nothing.
    let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "starved"))
    timer.schedule(deadline: .now() + .milliseconds(300), repeating: .milliseconds(10))
    timer.setEventHandler { say("a default queue still works") }
    timer.activate()
    sleepForEver()
  }

  /// Checks every millisecond, and reports when the lock is no longer held.
  static func watch(_ lock: Lock) -> Never {
    var last = ContinuousClock.now
    var longest = lock.remaining
    while true {
      let isHeld = lock.isHeld
      let now = ContinuousClock.now
      // After a pause of the whole process, the first check has to notice the loss.
      if isHeld, now - last > longest { say("held after a pause") }
      guard isHeld else {
        say("lost")
        exit(0)
      }
      longest = max(longest, lock.remaining)
      last = now
      usleep(1000)
    }
  }

  private static func tellWhetherKept(_ lock: Lock) {
    let end = ContinuousClock.now + lock.remaining * 5
    Thread.detachNewThread {
      var wasHeld = true
      while ContinuousClock.now < end {
        wasHeld = wasHeld && lock.isHeld
        usleep(1000)
      }
      say(wasHeld ? "kept" : "lost")
      exit(0)
    }
  }

  private static func sleepForEver() -> Never {
    while true { _ = sleep(600) }
  }
}
