#if Metrics
  internal import CoreMetrics

  /// A locker's counters and timers.
  ///
  /// The names and dimensions are public: see the article on monitoring. Keys are not a dimension, because there
  /// may be any number of them.
  final class LockMetrics: Sendable {
    private let handoffs: (local: Counter, remote: Counter)
    private let acquisitions: Counter
    /// By reason; created at the start, so that a series does not begin with the first trouble.
    private let failures: [String: Counter]
    private let losses: [LossReason: Counter]
    private let waitTime: Timer
    private let holdTime: Timer
    private let held: Meter
    private let waiting: Meter
    private let extensions: Counter
    private let lateness: Timer
    private let reconnects: Counter
    private let roundTrip: Timer
    private let unacknowledged: Counter
    private let acknowledgement: Timer

    /// Creates the instruments of a locker with a label.
    init(label: String?, factory: any MetricsFactory) {
      // Also without a label: Prometheus wants the same dimensions in all metrics of a name, and treats an empty
      // one as none.
      let dimensions = [("label", label ?? "")]
      func counter(_ name: String, _ more: [(String, String)] = []) -> Counter {
        Counter(label: Self.prefix + name, dimensions: dimensions + more, factory: factory)
      }
      func timer(_ name: String) -> Timer {
        Timer(label: Self.prefix + name, dimensions: dimensions, factory: factory)
      }
      func meter(_ name: String) -> Meter {
        Meter(label: Self.prefix + name, dimensions: dimensions, factory: factory)
      }
      acquisitions = counter("acquisitions")
      failures = Dictionary(
        uniqueKeysWithValues: Self.failureReasons.map { reason in
          (reason, counter("acquisition_failures", [("reason", reason)]))
        })
      losses = Dictionary(
        uniqueKeysWithValues: LossReason.all.map { reason in
          (reason, counter("losses", [("reason", "\(reason)")]))
        })
      handoffs = (
        counter("handoffs", [("kind", "local")]), counter("handoffs", [("kind", "remote")])
      )
      waitTime = timer("wait_duration")
      holdTime = timer("hold_duration")
      held = meter("held")
      waiting = meter("waiting")
      extensions = counter("extensions")
      lateness = timer("extension_lateness")
      reconnects = counter("reconnects")
      roundTrip = timer("round_trip")
      unacknowledged = counter("unacknowledged")
      acknowledgement = timer("acknowledgement")
    }

    private static let prefix = "redis_lock_"
    /// Why a call can end without a lock: another holder, cancellation, or the code of an error.
    private static let failureReasons =
      ["contended", "cancelled", otherReason]
      + [LockError.Code.timeout, .tooManyWaiters, .unreachable, .refused, .closed, .lost]
      .map(\.description)
    private static let otherReason = "other"

    func began() { waiting.increment() }

    func acquired(_ origin: LeaseOrigin, waited: Duration) {
      waiting.decrement()
      held.increment()
      acquisitions.increment()
      waitTime.recordNanoseconds(waited.wholeNanoseconds)
      switch origin {
      case .asked, .adopted: break
      case .handedOn: handoffs.local.increment()
      case .queued: handoffs.remote.increment()
      }
    }

    func failed(_ reason: String) {
      waiting.decrement()
      (failures[reason] ?? failures[Self.otherReason])?.increment()
    }

    func ended(held duration: Duration, lostBecause reason: LossReason?) {
      held.decrement()
      holdTime.recordNanoseconds(duration.wholeNanoseconds)
      if let reason { lost(reason) }
    }

    func lost(_ reason: LossReason) { losses[reason]?.increment() }

    func extended(late: Duration) {
      extensions.increment()
      lateness.recordNanoseconds(late.wholeNanoseconds)
    }

    func reconnected() { reconnects.increment() }

    func notAcknowledged() { unacknowledged.increment() }

    func acknowledged(_ duration: Duration) {
      acknowledgement.recordNanoseconds(duration.wholeNanoseconds)
    }

    func noteRoundTrip(_ duration: Duration) {
      roundTrip.recordNanoseconds(duration.wholeNanoseconds)
    }
  }
#endif
