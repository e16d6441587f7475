internal import Synchronization

#if Tracing
  internal import Tracing
#endif

/// Notes the steps of one acquisition in its span, each kind of step once: a wait may have thousands.
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

  private let noted = Mutex<Set<Step>>([])

  #if Tracing
    let span: any Span

    init(_ span: any Span) { self.span = span }
  #endif

  /// Notes a step, with what there is to say about it.
  func note(_ step: Step, _ details: [String: String] = [:]) {
    guard noted.withLock({ $0.insert(step).inserted }) else { return }
    #if Tracing
      var attributes = SpanAttributes()
      for (name, value) in details { attributes[name] = value }
      span.addEvent(SpanEvent(name: step.rawValue, attributes: attributes))
    #endif
  }
}
