internal import Dispatch

/// Runs the program's code for credentials, which may block a thread for as long as it likes.
///
/// Neither the cooperative pool nor the queues of extensions may lose a thread to it. Dispatch has a limited number of
/// threads for each quality of service, and this library uses this quality for nothing else.
final class CredentialExecutor: TaskExecutor {
  static let shared = CredentialExecutor()

  private let queue = DispatchQueue(
    label: "async-redis-lock.credentials", qos: .userInitiated, attributes: .concurrent)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }

  /// Runs other code of the program, such as the end of what a closure has captured.
  func run(_ work: @escaping @Sendable () -> Void) { queue.async(execute: work) }
}
