internal import Synchronization

#if Tracing
  internal import Tracing
#endif

/// Notes the steps of one acquisition, each kind of step once: a wait may have thousands.
///
/// The span gets them when the call ends: others may wait for the task that is traced, and a span may block.
final class AcquisitionTrace: Sendable {
  /// What a call may have to do for a lock.
  enum Step: String {
    /// Wait behind other tasks of the same locker.
    case waitingInProcess = "redis_lock.waiting_in_process"
    /// Ask the server, because the tasks before it are done.
    case leading = "redis_lock.leading"
    /// Wait in the server's queue.
    case waitingOnServer = "redis_lock.waiting_on_server"
    /// Ask again and again, because grants cannot be told.
    case polling = "redis_lock.polling"
    /// Ask again, because there was no answer.
    case retrying = "redis_lock.retrying"
  }

  private let noted = Locked<Set<Step>>([])

  #if Tracing
    private let span: any Span
    private let events = Locked<[SpanEvent]>([])

    init(_ span: any Span) { self.span = span }

    /// The span, with all steps; to be asked for once.
    var finishedSpan: any Span {
      for event in events.withLock({ $0 }) { span.addEvent(event) }
      return span
    }
  #endif

  /// Notes a step, with what there is to say about it.
  func note(_ step: Step, _ details: [String: String] = [:]) {
    guard noted.withLock({ $0.insert(step).inserted }) else { return }
    #if Tracing
      var attributes = SpanAttributes()
      for (name, value) in details { attributes[name] = value }
      let event = SpanEvent(name: step.rawValue, at: DefaultTracerClock.now, attributes: attributes)
      events.withLock { $0.append(event) }
    #endif
  }
}
