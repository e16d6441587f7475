#if Metrics
  internal import CoreMetrics
#endif
#if Tracing
  internal import Tracing
#endif

/// The metrics and tracing that a locker reports to: those that the process has set up when the locker is created.
struct Instruments {
  #if Metrics
    var metrics: any MetricsFactory = MetricsSystem.factory
  #endif
  #if Tracing
    var tracer: any Tracer = InstrumentationSystem.tracer
  #endif
}
