import Foundation

/// A contender that takes the token repeatedly.
///
/// Unchecked because each contender has a connection of its own, which no other thread uses while it runs.
struct FloorContender: @unchecked Sendable {
  let number: Int
  let key: String
  let connection: HiredisConnection
  let log: HandoffLog
  let deadline: UInt64

  /// Takes turns up to the deadline.
  func run() {
    do {
      // No contender waits that long: even after the deadline, the token goes from one to the next.
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
      // Without this contender, the measurement of the others would be meaningless.
      fatalError("a contender failed: \(error)")
    }
  }
}
