#if CommandLineTool
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Reports the holder during the wait: at once and continuously on a terminal, and rarely elsewhere.
  struct WaitReporter: Sendable {
    let keys: [String]
    let locker: Locker
    let console: Console

    /// The pauses before the first lines of a mail or a log.
    private static let pauses: [Duration] = [.seconds(10), .seconds(50), .seconds(540)]

    /// How long a mail or a log waits for its next line, after so many: rarely, and at last every hour.
    static func pause(after lines: Int) -> Duration {
      lines < pauses.count ? pauses[lines] : .seconds(3600)
    }

    /// Reports until the task is cancelled.
    func run() async {
      let start = ContinuousClock.now
      var lines = 0
      while !Task.isCancelled {
        try? await Task.sleep(
          for: console.showsProgress ? .seconds(1) : Self.pause(after: lines))
        lines += 1
        guard !Task.isCancelled, let situation = try? await situation(), !Task.isCancelled else {
          continue
        }
        let waited = start.duration(to: .now)
        if console.showsProgress {
          console.showProgress("\(situation.text) (\(waited.rounded.text))")
        } else {
          console.say(
            .warning, "waiting for \(situation.text)",
            [
              "key": .text(situation.key), "holder": .text(situation.holder),
              "waited": .seconds(waited),
            ])
        }
      }
    }

    /// The holder of the first key that is held; nil if all are free.
    func situation() async throws -> (key: String, holder: String, text: String)? {
      for key in keys {
        guard let status = try await locker.inspect(key) else { continue }
        let report = try await LockReport(status, at: locker)
        let position = status.waiters.firstIndex { $0.lockerID == locker.id }
        let place = position.map { ", place \($0 + 1) of \(status.waiterCount) in the queue" } ?? ""
        return (key, status.holder.description, "\(report.summary)\(place)")
      }
      return nil
    }
  }
#endif
