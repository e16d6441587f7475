import Foundation

/// One who wants the token again and again.
///
/// Unchecked because each has a connection of its own, used by no other thread while it runs.
struct FloorContender: @unchecked Sendable {
  let number: Int
  let key: String
  let connection: HiredisConnection
  let log: HandoffLog
  let deadline: UInt64

  /// Takes turns up to the deadline.
  func run() {
    do {
      // Nobody waits for so long: after the deadline, too, the token goes from one to the next.
      let pop = PreparedCommand("BLPOP", key, "30")
      let push = PreparedCommand("RPUSH", key, "token")
      while true {
        guard try connection.call(pop) == .list else { throw BenchError("the token is gone") }
        guard Monotonic.now() < deadline else {
          try connection.call(push)
          return
        }
        log.enter(number)
        Monotonic.sleep(milliseconds: Turn.holdMilliseconds)
        log.leave()
        try connection.call(push)
        Monotonic.sleep(milliseconds: Turn.thinkMilliseconds)
      }
    } catch {
      // Without this one the others would be measured on their own.
      fatalError("a contender has failed: \(error)")
    }
  }
}
