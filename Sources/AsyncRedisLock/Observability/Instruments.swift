#if Metrics
  internal import CoreMetrics
#endif
#if Tracing
  internal import Tracing
#endif

/// What a locker reports to besides its logger: what the process has set up by the time the locker is made.
struct Instruments {
  #if Metrics
    var metrics: any MetricsFactory = MetricsSystem.factory
  #endif
  #if Tracing
    var tracer: any Tracer = InstrumentationSystem.tracer
  #endif
}
