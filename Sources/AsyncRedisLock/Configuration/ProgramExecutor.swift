internal import DequeModule
internal import Dispatch

/// Runs code of the program, such as closures for credentials, which may block a thread for as long as it likes.
///
/// Neither the cooperative pool nor Dispatch may lose a thread to it. Both have a limited number of threads, so that
/// one closure that blocks would delay those of other lockers, too. So there is a thread for each job that has
/// not ended. A thread that has no job waits a while for the next one, since asynchronous code has many.
final class ProgramExecutor: TaskExecutor {
  typealias Work = @Sendable () -> Void

  private struct State {
    /// The jobs that no thread has taken yet.
    var jobs: Deque<Work> = []
    /// How many threads have no job.
    var freeThreads = 0
    /// How many of them wait for the semaphore.
    var waitingThreads = 0
    var isRetrying = false

    /// Notes that a thread does not wait any more; returns false if none did.
    mutating func takeWaiting() -> Bool {
      guard waitingThreads > 0 else { return false }
      waitingThreads -= 1
      return true
    }
  }

  static let shared = ProgramExecutor()

  private static let longestIdleTime = DispatchTimeInterval.seconds(5)
  private static let retryPause = DispatchTimeInterval.milliseconds(100)

  private let state = Locked(State())
  private let wake = DispatchSemaphore(value: 0)
  /// Tries again to create a thread; none of the program's code runs on it.
  private let retryQueue = DispatchQueue(label: "async-redis-lock.program", qos: .utility)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    run { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }

  /// Runs other code of the program, such as the end of what a closure has captured.
  ///
  /// If the system allows no thread for it, it runs as soon as there is one.
  func run(_ work: @escaping Work) {
    let next = state.withLock { state in
      state.jobs.append(work)
      let needsRetry = provideThreads(&state)
      return Next(wakes: state.takeWaiting(), needsRetry: needsRetry)
    }
    if next.wakes { wake.signal() }
    if next.needsRetry { retryLater() }
  }

  /// Makes sure that there is a thread for one more job.
  ///
  /// - Throws: ``SystemError`` if the system allows none.
  func prepare() throws(SystemError) {
    let failure = state.withLock { state in
      startThreads(for: state.jobs.count + 1, &state)
    }
    if let failure { throw failure }
  }

  /// What is to be done after a job was added.
  private struct Next {
    let wakes: Bool
    let needsRetry: Bool
  }

  /// Starts threads until there is one for each job; returns whether that has to be tried again.
  private func provideThreads(_ state: inout State) -> Bool {
    guard startThreads(for: state.jobs.count, &state) != nil, !state.isRetrying else {
      return false
    }
    state.isRetrying = true
    return true
  }

  /// Starts threads until so many are free, or until the system allows no more.
  private func startThreads(for jobCount: Int, _ state: inout State) -> SystemError? {
    while state.freeThreads < jobCount {
      do throws(SystemError) {
        // The thread begins with the lock that is held here.
        try DetachedThread.start { [self] in work() }
      } catch {
        return error
      }
      state.freeThreads += 1
    }
    return nil
  }

  private func retryLater() {
    retryQueue.asyncAfter(deadline: .now() + Self.retryPause) { [self] in
      let needsRetry = state.withLock { state in
        state.isRetrying = false
        return provideThreads(&state)
      }
      if needsRetry { retryLater() }
    }
  }

  // MARK: On a thread

  /// Runs one job after the other, until none has come for a while.
  private func work() {
    while runNextJob() { state.withLock { $0.freeThreads += 1 } }
  }

  /// Runs a job; returns false if the thread is to end.
  ///
  /// The thread is free only when the job has been released, too, since the end of its captures may block.
  private func runNextJob() -> Bool {
    guard let job = nextJob() else { return false }
    job()
    return true
  }

  /// Waits for a job and takes it; returns nil if the thread is to end.
  private func nextJob() -> Work? {
    while true {
      if let job = takeJob() { return job }
      guard wake.wait(timeout: .now() + Self.longestIdleTime) == .timedOut else { continue }
      if endWaiting() { return nil }
      // A signal for one of the threads is on its way, and all others have ended.
      wake.wait()
    }
  }

  /// Takes a job, or begins to wait for one.
  private func takeJob() -> Work? {
    state.withLock { state in
      guard let job = state.jobs.popFirst() else {
        state.waitingThreads += 1
        return nil
      }
      state.freeThreads -= 1
      return job
    }
  }

  /// Ends a thread that waits, unless it has to wake up.
  private func endWaiting() -> Bool {
    state.withLock { state in
      guard state.takeWaiting() else { return false }
      state.freeThreads -= 1
      return true
    }
  }
}
