#if Metrics
  import CoreMetrics
  import Synchronization

  @testable import AsyncRedisLock

  /// Records which metrics were made, without measuring.
  final class RegisteredMetrics: MetricsFactory {
    enum Kind { case counter, timer, meter, recorder }

    /// A metric, with a series for each combination of values of its dimensions.
    struct Metric {
      let kind: Kind
      var dimensions: [String: Set<String>]
    }

    private let known = Locked<[String: Metric]>([:])

    var metrics: [String: Metric] { known.withLock { $0 } }

    /// The names of the series that swift-prometheus derives from a metric.
    static func series(of name: String, _ kind: Kind) -> [String] {
      switch kind {
      case .counter, .meter: [name]
      case .timer, .recorder: ["_bucket", "_sum", "_count"].map { name + $0 }
      }
    }

    private func note(_ name: String, _ kind: Kind, _ dimensions: [(String, String)]) {
      known.withLock { known in
        for (dimension, value) in dimensions {
          known[name, default: Metric(kind: kind, dimensions: [:])]
            .dimensions[dimension, default: []].insert(value)
        }
      }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
      note(label, .counter, dimensions)
      return NOOPMetricsHandler.instance
    }

    func makeFloatingPointCounter(
      label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
      note(label, .counter, dimensions)
      return NOOPMetricsHandler.instance
    }

    func makeRecorder(
      label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
      note(label, .recorder, dimensions)
      return NOOPMetricsHandler.instance
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
      note(label, .meter, dimensions)
      return NOOPMetricsHandler.instance
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
      note(label, .timer, dimensions)
      return NOOPMetricsHandler.instance
    }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
  }
#endif
