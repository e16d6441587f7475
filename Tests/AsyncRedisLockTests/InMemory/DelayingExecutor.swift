import Dispatch

/// Runs what a task does, and does something else before that.
final class DelayingExecutor: TaskExecutor {
  let isDelaying = Shared(false)
  /// How often something was delayed.
  let count = Shared(0)
  private let delay: @Sendable () -> Void

  init(_ delay: @escaping @Sendable () -> Void) { self.delay = delay }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    DispatchQueue.global().async { @Sendable [self] in
      if isDelaying.value {
        delay()
        count.change { $0 += 1 }
      }
      unsafe job.runSynchronously(on: asUnownedTaskExecutor())
    }
  }
}
