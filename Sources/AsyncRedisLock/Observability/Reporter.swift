internal import Logging
internal import Synchronization

#if Metrics
  internal import CoreMetrics
#endif

/// Reports the events of one locker to its logger and metrics.
///
/// Failures that the caller receives as errors are logged at debug. Only conditions that need an operator are
/// logged higher. These are the beginning and end of an outage, a lock that was lost or dropped, and conditions that
/// will cost locks sooner or later.
///
/// Events on the way to an extension or a loss, or on the connection, are reported from a separate queue. The
/// result of a task's own request is reported in that task, when it is done.
final class Reporter: Sendable {
  /// A remark that is made once in the life of a locker.
  private enum Remark: Hashable { case polling, eviction }

  /// The logger for the locker's own messages; messages about a lock may go elsewhere.
  let logger: Logger
  /// How messages name the server.
  let address: String
  private let common: CommonMetadata
  private let said = Locked<Set<Remark>>([])
  let outage: Locked<OutageState>
  private let warnings: LimitedWarnings
  let clock: LockClock
  let queue: ReportQueue
  private let machine: any Machine
  #if Metrics
    let metrics: LockMetrics
    /// Whether the program has set up a metrics system.
    let isMeasured: Bool
  #endif
  #if Tracing
    let tracer: LockTracer
  #endif

  /// Creates a reporter for a locker with a label.
  ///
  /// `configuration` tells where its server is, if it has one, and `address` how to name several. `activity` counts
  /// while there are reports, and `isFirstAwaited` tells that a caller awaits the first connection.
  init(
    logger: Logger, label: String?, configuration: LockerConfiguration? = nil,
    address several: String? = nil,
    instruments: Instruments = Instruments(), on machine: any Machine = HostMachine(),
    countedBy activity: (any ActivityCounter)? = nil, isFirstAwaited: Bool = true
  ) {
    self.logger = logger
    self.machine = machine
    address = several ?? configuration.map { "\($0.address)" } ?? "in memory"
    let common = CommonMetadata(of: configuration, address: address, label: label)
    self.common = common
    clock = machine.clock
    outage = Locked(OutageState(isFirstAwaited: isFirstAwaited))
    let warnings = LimitedWarnings(clock: machine.clock)
    let threads = machine.makeQueue("reports", .later)
    self.warnings = warnings
    queue = ReportQueue(on: threads, countedBy: activity) { count in
      warnings.warn(.reportsDropped) { isSaid in
        logger.log(
          level: isSaid ? .warning : .debug,
          "Reports were dropped: the log handler or the metrics took too long",
          metadata: common.with(["redis-lock.dropped": "\(count)"]))
      } summarize: { pause, summary in
        threads.async(after: pause) {
          guard let count = summary() else { return }
          logger.warning(
            "\(WarningLimit.Kind.reportsDropped.summary(of: count)) within a minute",
            metadata: common.with(["redis-lock.count": "\(count)"]))
        }
      }
    }
    #if Metrics
      isMeasured = !(instruments.metrics is NOOPMetricsHandler)
      metrics = LockMetrics(label: label, factory: instruments.metrics)
    #endif
    #if Tracing
      tracer = LockTracer(instruments.tracer, configuration: configuration, address: several)
    #endif
  }

  /// The last reference to a log handler may go away with the locker, and its end may block.
  deinit {
    guard !(logger.handler is SwiftLogNoOpLogHandler) else { return }
    machine.runForProgram { [logger, queue] in withExtendedLifetime((logger, queue)) {} }
  }

  /// Runs other code of the program, such as cancellation handlers, where nothing waits for it.
  func runForProgram(_ work: @escaping @Sendable () -> Void) { machine.runForProgram(work) }

  /// Sets the locker's identity, as soon as it has one.
  func identify(as lockerID: String) { common.identify(as: lockerID) }

  /// The metadata of a message.
  func metadata(_ own: Logger.Metadata = [:]) -> Logger.Metadata { common.with(own) }

  // MARK: Limited warnings

  /// Logs a warning, unless there has been one of its kind within a minute.
  ///
  /// If there has been one, it is logged at debug, and a number follows. `saying` makes the text for the warning
  /// that is logged, if that differs.
  ///
  /// - Returns: Whether it is logged.
  @discardableResult
  func warn(
    _ kind: WarningLimit.Kind, by other: @autoclosure @escaping @Sendable () -> Logger? = nil,
    level: Logger.Level = .warning,
    _ message: @escaping @Sendable () -> (text: String, metadata: Logger.Metadata),
    saying said: (@Sendable () -> (text: String, metadata: Logger.Metadata))? = nil
  ) -> Bool {
    warnings.warn(kind) { isSaid in
      queue.add { [self] in
        // Asked for here: the last copy of a logger must not end where the lease does.
        let (logger, level) = (other() ?? logger, isSaid ? level : .debug)
        guard logger.logLevel <= level else { return }
        let (text, metadata) = isSaid ? (said ?? message)() : message()
        logger.log(level: level, "\(text)", metadata: self.metadata(metadata))
      }
    } summarize: { [weak self] pause, summary in
      self?.queue.add(after: pause) { [weak self] in
        if let count = summary() { self?.summarize(kind, count) }
      }
    }
  }

  /// Logs the number of warnings that are held back, because no more will come.
  func close() {
    queue.add { [self] in
      for kind in WarningLimit.Kind.allCases {
        if let count = warnings.takeSummary(of: kind) { summarize(kind, count) }
      }
    }
  }

  private func summarize(_ kind: WarningLimit.Kind, _ count: Int) {
    logger.log(
      level: kind == .connectionLost ? .notice : .warning,
      "\(kind.summary(of: count)) within a minute",
      metadata: metadata(["redis-lock.count": "\(count)"]))
  }

  // MARK: Remarks

  /// Warns that waiters have to ask again and again.
  func willPoll(because cause: String) {
    guard isNew(.polling) else { return }
    queue.add { [self] in
      logger.warning(
        "Waiters poll: this server does not notify them when a lock becomes free",
        metadata: metadata(["redis-lock.cause": "\(cause)"]))
    }
  }

  /// Warns that the server may drop locks when its memory is full.
  func mayEvict(policy: String) {
    guard isNew(.eviction) else { return }
    queue.add { [self] in
      logger.warning(
        "The server may evict locks when its memory is full: set maxmemory-policy to noeviction",
        metadata: metadata(["redis-lock.policy": "\(policy)"]))
    }
  }

  /// Runs an action if warnings are logged.
  func whenWarningsAreRead(_ body: @escaping @Sendable () -> Void) {
    queue.add { [logger] in if logger.logLevel <= .warning { body() } }
  }

  private func isNew(_ remark: Remark) -> Bool { said.withLock { $0.insert(remark).inserted } }

  // MARK: Taking locks

  /// Notes a call that wants a lock; returns the trace that records the steps taken.
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
      "Acquired",
      metadata: metadata(
        lease.metadata([
          "redis-lock.origin": "\(lease.origin.rawValue)",
          "redis-lock.waited": "\(waited.roundedForMessage)",
        ])))
    #if Metrics
      metrics.acquired(lease.origin, waited: waited)
    #endif
    #if Tracing
      if let trace { tracer.end(trace, lease) }
    #endif
  }

  /// Notes a call that ended without a lock; `error` is nil if the lock has a holder and the call did not wait.
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
      "Not acquired",
      metadata: metadata([
        "redis-lock.keys": Self.list(keys), "redis-lock.reason": "\(reason)",
        "redis-lock.waited": "\(waited.roundedForMessage)",
      ]))
    #if Metrics
      metrics.failed(reason)
    #endif
    #if Tracing
      if let trace { tracer.end(trace, reason, because: error) }
    #endif
  }

  static func list(_ keys: [String]) -> Logger.MetadataValue {
    .array(keys.map { .string($0) })
  }
}
