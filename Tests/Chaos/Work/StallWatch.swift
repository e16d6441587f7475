import ChaosLog
import Foundation

/// Notes the times when this process does not run, because it is stopped or because the machine is busy.
enum StallWatch {
  private static let pause = 0.02
  /// The shortest stall to note; the slack of the checks covers shorter ones.
  private static let shortest: UInt64 = .milliseconds(100)

  /// Watches a thread and a task until the process ends.
  static func start(_ log: ChaosLog) {
    Thread.detachNewThread {
      while true {
        let start = LogClock.now
        Thread.sleep(forTimeInterval: pause)
        note(since: start, log)
      }
    }
    Task {
      while true {
        let start = LogClock.now
        try? await Task.sleep(for: .seconds(pause))
        note(since: start, log)
      }
    }
  }

  private static func note(since start: UInt64, _ log: ChaosLog) {
    let now = LogClock.now
    guard now - start > shortest else { return }
    log.note(Episode(.stall, process: ownProcessID, from: start, to: now))
  }
}
