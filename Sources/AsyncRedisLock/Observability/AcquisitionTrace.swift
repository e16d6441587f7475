internal import Synchronization

#if Tracing
  internal import Tracing
#endif

/// Records the steps of one acquisition, each kind of step once: a wait may have thousands.
///
/// The span gets them when the call ends: other tasks may wait for the traced task, and a span may block.
final class AcquisitionTrace: Sendable {
  /// A step that a call may take to get a lock.
  enum Step: String {
    /// The call waits behind other tasks of the same locker.
    case waitingInProcess = "redis_lock.waiting_in_process"
    /// The call asks the server, because the tasks before it are done.
    case leading = "redis_lock.leading"
    /// The call waits in the server's queue.
    case waitingOnServer = "redis_lock.waiting_on_server"
    /// The call asks again and again, because waiters cannot be notified of grants.
    case polling = "redis_lock.polling"
    /// The call asks again, because there was no answer.
    case retrying = "redis_lock.retrying"
  }

  private let noted = Locked<Set<Step>>([])

  #if Tracing
    private let span: any Span
    private let events = Locked<[SpanEvent]>([])

    init(_ span: any Span) { self.span = span }

    /// The span, with all steps; to be read once.
    var finishedSpan: any Span {
      for event in events.withLock({ $0 }) { span.addEvent(event) }
      return span
    }
  #endif

  /// Notes a step, with its details.
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
