internal import DequeModule
internal import Synchronization

/// Calls code of the program, such as log handlers and metrics, one report after the other on a thread of its own.
///
/// Such code may block for as long as it likes. Extensions, losses and the connection never wait for it: reports
/// that no longer fit are dropped and counted.
final class ReportQueue: Sendable {
  typealias Report = @Sendable () -> Void

  private struct State {
    var pending: Deque<Report> = []
    var isRunning = false
    var dropped = 0
  }

  /// Enough for some seconds of trouble with a thousand locks; half a megabyte at most.
  static let capacity = 4096
  /// Samples leave room for reports that are made once, such as the end of a lease.
  static let sampleCapacity = 2048

  private let queue: any WorkQueue
  private let state = Locked(State())
  /// Reports how many reports were dropped.
  private let reportDropped: @Sendable (Int) -> Void
  /// Counts the queue while it has reports.
  private let activity: (any ActivityCounter)?

  init(
    on queue: any WorkQueue, countedBy activity: (any ActivityCounter)?,
    reportDropped: @escaping @Sendable (Int) -> Void
  ) {
    self.queue = queue
    self.activity = activity
    self.reportDropped = reportDropped
  }

  /// Adds a report, unless too many are waiting; never blocks.
  ///
  /// A sample is one of many measurements, of which some may be missing.
  func add(isSample: Bool = false, _ report: @escaping Report) {
    let isFirst = state.withLock { state in
      guard state.pending.count < (isSample ? Self.sampleCapacity : Self.capacity) else {
        state.dropped += 1
        return false
      }
      state.pending.append(report)
      guard !state.isRunning else { return false }
      state.isRunning = true
      activity?.begin()
      return true
    }
    if isFirst { queue.async { self.run() } }
  }

  /// Adds a report when some time has passed.
  func add(after pause: Duration, _ report: @escaping Report) {
    queue.async(after: pause) { [weak self] in self?.add(report) }
  }

  private func run() {
    while true {
      let (report, dropped): (Report?, Int) = state.withLock { state in
        let report = state.pending.popFirst()
        if report == nil { state.isRunning = false }
        defer { state.dropped = 0 }
        return (report, state.dropped)
      }
      if dropped > 0 { reportDropped(dropped) }
      guard let report else {
        activity?.end()
        return
      }
      report()
    }
  }
}
