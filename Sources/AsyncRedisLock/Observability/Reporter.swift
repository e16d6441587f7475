internal import Logging
internal import Synchronization

#if Metrics
  internal import CoreMetrics
#endif

/// Tells the logger and the metrics of one locker what happens to it.
///
/// Nothing is above debug that a caller is told by an error anyway, but for what operators have to know: a
/// lock that was lost, and what will cost locks sooner or later.
///
/// What happens on the way to an extension or a loss, or on the connection, is reported from a queue of its own;
/// what a task asks for itself, in that task, when it is done.
final class Reporter: Sendable {
  /// What is said once in the life of a locker.
  private enum Remark: Hashable { case polling, eviction }

  /// Where a locker's own messages go; those about a lock may go elsewhere.
  let logger: Logger
  private let said = Locked<Set<Remark>>([])
  private let queue: ReportQueue
  #if Metrics
    private let metrics: LockMetrics
    /// Whether the program has set up anything that gets the metrics.
    private let isMeasured: Bool
  #endif
  #if Tracing
    private let tracer: LockTracer
  #endif

  /// Reports for a locker with a label; `configuration` tells where its server is, if it has one, and `activity` counts
  /// while there are reports.
  init(
    logger: Logger, label: String?, configuration: LockerConfiguration? = nil,
    instruments: Instruments = Instruments(), on machine: any Machine = HostMachine(),
    countedBy activity: (any ActivityCounter)? = nil
  ) {
    self.logger = logger
    queue = ReportQueue(on: machine.makeQueue("reports", .later), countedBy: activity) { count in
      logger.warning(
        "Reports were dropped: the log handler or the metrics took too long",
        metadata: ["redis-lock.dropped": "\(count)"])
    }
    #if Metrics
      isMeasured = !(instruments.metrics is NOOPMetricsHandler)
      metrics = LockMetrics(label: label, factory: instruments.metrics)
    #endif
    #if Tracing
      tracer = LockTracer(instruments.tracer, configuration: configuration)
    #endif
  }

  // MARK: The connection

  func connected(to place: String) {
    logger.debug("connected", metadata: ["redis-lock.server": "\(place)"])
  }

  func disconnected(because cause: TransportError) {
    queue.add { [logger] in
      logger.debug("the connection ended", metadata: ["redis-lock.cause": "\(cause)"])
    }
  }

  func reconnected() {
    queue.add { [self] in
      logger.info("connected again")
      #if Metrics
        metrics.reconnected()
      #endif
    }
  }

  func noteRoundTrip(_ duration: Duration) {
    #if Metrics
      if isMeasured { queue.add(isSample: true) { [metrics] in metrics.noteRoundTrip(duration) } }
    #endif
  }

  // MARK: Remarks

  /// Warns that waiters have to ask again and again.
  func willPoll(because cause: String) {
    guard isNew(.polling) else { return }
    queue.add { [logger] in
      logger.warning(
        "Waiters poll: this server does not tell them of a lock that becomes free",
        metadata: ["redis-lock.cause": "\(cause)"])
    }
  }

  /// Warns that the server may drop locks when its memory is full.
  func mayEvict(policy: String) {
    guard isNew(.eviction) else { return }
    queue.add { [logger] in
      logger.warning(
        "The server may drop locks when its memory is full: set maxmemory-policy to noeviction",
        metadata: ["redis-lock.policy": "\(policy)"])
    }
  }

  /// Does something if anybody would read a warning.
  func whenWarningsAreRead(_ body: @escaping @Sendable () -> Void) {
    queue.add { [logger] in if logger.logLevel <= .warning { body() } }
  }

  private func isNew(_ remark: Remark) -> Bool { said.withLock { $0.insert(remark).inserted } }

  // MARK: Taking locks

  /// Notes a call that wants a lock; what it returns wants to know of the steps that this takes.
  func acquiring(_ keys: [String], _ phase: LockError.Phase) -> AcquisitionTrace? {
    #if Metrics
      metrics.began()
    #endif
    #if Tracing
      return tracer.begin(phase.description, keys)
    #else
      return nil
    #endif
  }

  func acquired(_ lease: Lease, waited: Duration, logger: Logger?, trace: AcquisitionTrace?) {
    (logger ?? self.logger).debug(
      "acquired",
      metadata: lease.metadata([
        "redis-lock.origin": "\(lease.origin.rawValue)", "redis-lock.waited": "\(waited)",
      ]))
    #if Metrics
      metrics.acquired(lease.origin, waited: waited)
    #endif
    #if Tracing
      if let trace { tracer.end(trace, lease) }
    #endif
  }

  /// Notes a call that ended without a lock; `error` is nil when somebody held it and the call did not wait.
  func acquiredNothing(
    _ keys: [String], because error: (any Error)?, waited: Duration, logger: Logger?,
    trace: AcquisitionTrace?
  ) {
    let reason =
      switch error {
      case nil: "contended"
      case let error as LockError: "\(error.code)"
      case is CancellationError?: "cancelled"
      default: "other"
      }
    (logger ?? self.logger).debug(
      "not acquired",
      metadata: [
        "redis-lock.keys": Self.list(keys), "redis-lock.reason": "\(reason)",
        "redis-lock.waited": "\(waited)",
      ])
    #if Metrics
      metrics.failed(reason)
    #endif
    #if Tracing
      if let trace { tracer.end(trace, reason, because: error) }
    #endif
  }

  // MARK: Keeping locks

  /// Runs a body under a lock.
  func hold<Value: Sendable>(
    _ lease: Lease, _ body: () async -> Result<Value, any Error>
  ) async -> Result<Value, any Error> {
    #if Tracing
      await tracer.hold(lease, body)
    #else
      await body()
    #endif
  }

  /// Notes an extension; warns when it came so late that little was missing to a loss.
  func extended(_ lease: Lease, _ lateness: Lateness) {
    if lateness.isSerious, lease.isFirst(.late) {
      queue.add { [logger] in
        (lease.logger ?? logger).warning(
          "A lock was extended late: more than half of the time that was left had passed",
          metadata: lease.metadata([
            "redis-lock.late": "\(lateness.delay)", "redis-lock.slack": "\(lateness.slack)",
          ]))
      }
    }
    #if Metrics
      if isMeasured {
        queue.add(isSample: true) { [metrics] in metrics.extended(late: lateness.delay) }
      }
    #endif
  }

  func extensionFailed(_ failure: String, leases: Int) {
    queue.add { [logger] in
      logger.debug(
        "an extension failed, and is repeated",
        metadata: ["redis-lock.cause": "\(failure)", "redis-lock.locks": "\(leases)"])
    }
  }

  /// Notes that a lease has ended, the first time that this is said of it.
  ///
  /// `isByTask` tells that a task has ended it, whose own time it is that a log handler takes.
  func ended(_ lease: Lease, lostBecause reason: LossReason?, isByTask: Bool = false) {
    guard lease.isFirst(.ended) else { return }
    let held = lease.age
    if isByTask, reason == nil {
      report(lease, held: held, lostBecause: nil)
    } else {
      queue.add { [self] in report(lease, held: held, lostBecause: reason) }
    }
  }

  private func report(_ lease: Lease, held: Duration, lostBecause reason: LossReason?) {
    let logger = lease.takeLogger() ?? logger
    if let reason {
      var metadata: Logger.Metadata = [
        "redis-lock.reason": "\(reason)", "redis-lock.held": "\(held)",
      ]
      if let trouble = lease.trouble { metadata["redis-lock.cause"] = "\(trouble)" }
      logger.warning(
        "A lock was lost: \(reason.explanation)", metadata: lease.metadata(metadata))
    } else {
      logger.debug("released", metadata: lease.metadata(["redis-lock.held": "\(held)"]))
    }
    #if Metrics
      metrics.ended(held: held, lostBecause: reason)
    #endif
  }

  fileprivate static func list(_ keys: [String]) -> Logger.MetadataValue {
    .array(keys.map { .string($0) })
  }
}

extension Lease {
  /// What is said of a lease once.
  enum Remark: UInt8 {
    case ended = 1
    case late = 2
  }

  fileprivate func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
    var metadata = more
    metadata["redis-lock.keys"] = Reporter.list(claim.keys)
    metadata["redis-lock.token"] = "\(claim.token)"
    if let fencingToken { metadata["redis-lock.fencing-token"] = "\(fencingToken)" }
    return metadata
  }
}

/// How late an extension was confirmed.
struct Lateness: Equatable {
  /// From when it was planned until it was confirmed.
  let delay: Duration
  /// From when it was planned until the lock would have been lost.
  let slack: Duration

  var isSerious: Bool { delay > slack / 2 }
}
