import AsyncRedisLock
import Foundation

/// Looking at the lock all the time, on a thread that belongs to nobody else.
extension LockTaker {
  /// Tells whether the lock is held for five times its ttl, and ends the process.
  static func keep(_ lock: Lock) -> Never {
    tellWhetherKept(lock)
    sleepForEver()
  }

  /// Blocks every thread of the cooperative pool meanwhile.
  static func blockPool(_ lock: Lock) -> Never {
    tellWhetherKept(lock)
    for _ in 0..<64 { Task { _ = sleep(600) } }
    // This thread, too: a body that never gives its thread back.
    sleepForEver()
  }

  /// Blocks more queues than Dispatch has threads for meanwhile.
  static func blockQueues(_ lock: Lock) -> Never {
    for number in 0..<300 {
      DispatchQueue(label: "blocked-\(number)").async { _ = sleep(600) }
    }
    tellWhetherKept(lock)
    // A timer of the same priority does not come any more, or this would show nothing.
    let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "starved"))
    timer.schedule(deadline: .now() + .milliseconds(300), repeating: .milliseconds(10))
    timer.setEventHandler { say("a default queue still works") }
    timer.activate()
    sleepForEver()
  }

  /// Looks every millisecond, and tells when the lock is not held any more.
  static func watch(_ lock: Lock) -> Never {
    var last = ContinuousClock.now
    var longest = lock.remaining
    while true {
      let isHeld = lock.isHeld
      let now = ContinuousClock.now
      // After a pause of the whole process the first look has to see it.
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
