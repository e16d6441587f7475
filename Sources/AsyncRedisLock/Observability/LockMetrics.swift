#if Metrics
  internal import CoreMetrics

  /// What a locker counts and times.
  ///
  /// The names and dimensions are public: see the article on monitoring. Keys are no dimension, because
  /// there may be any number of them.
  final class LockMetrics: Sendable {
    private let factory: any MetricsFactory
    private let dimensions: [(String, String)]
    private let handoffs: (local: Counter, remote: Counter)
    private let acquisitions: Counter
    /// Failures that may be many; the others have their counters made when there is one.
    private let frequentFailures: [String: Counter]
    private let waitTime: Timer
    private let holdTime: Timer
    private let held: Meter
    private let waiting: Meter
    private let extensions: Counter
    private let lateness: Timer
    private let reconnects: Counter
    private let roundTrip: Timer

    /// Makes the instruments, of a locker with a label.
    init(label: String?, factory: any MetricsFactory) {
      // Also without a label: Prometheus wants the same dimensions in all metrics of a name, and takes an empty
      // one for none.
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
      self.factory = factory
      self.dimensions = dimensions
      acquisitions = counter("acquisitions")
      frequentFailures = Dictionary(
        uniqueKeysWithValues: ["contended", "\(LockError.Code.timeout)"].map { reason in
          (reason, counter(Self.failures, [("reason", reason)]))
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
    }

    private static let prefix = "redis_lock_"
    private static let failures = "acquisition_failures"

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
      if let counter = frequentFailures[reason] {
        counter.increment()
      } else {
        count(Self.failures, "reason", reason)
      }
    }

    func ended(held duration: Duration, lostBecause reason: LossReason?) {
      held.decrement()
      holdTime.recordNanoseconds(duration.wholeNanoseconds)
      if let reason { count("losses", "reason", "\(reason)") }
    }

    func extended(late: Duration) {
      extensions.increment()
      lateness.recordNanoseconds(late.wholeNanoseconds)
    }

    func reconnected() { reconnects.increment() }

    func noteRoundTrip(_ duration: Duration) {
      roundTrip.recordNanoseconds(duration.wholeNanoseconds)
    }

    /// Counts what is too seldom to have an instrument ready.
    private func count(_ name: String, _ dimension: String, _ value: String) {
      Counter(
        label: Self.prefix + name, dimensions: dimensions + [(dimension, value)], factory: factory
      ).increment()
    }
  }
#endif
