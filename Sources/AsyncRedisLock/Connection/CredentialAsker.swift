internal import Synchronization

/// Asks the program for the credentials of one connection after the other.
///
/// Its closure may throw, block a thread, or never return. Nothing waits for it but the attempt to connect, and that
/// only until its deadline.
final class CredentialAsker: Sendable {
  typealias Answer = LockerConfiguration.Credentials.Answer
  typealias Completion = @Sendable (Result<Answer, TransportError>) -> Void

  private struct State {
    /// How many calls of the closure have not returned.
    var callCount = 0
    /// Tells a call from earlier ones, which have been given up.
    var number = 0
    var task: Task<Void, Never>?
    var completion: Completion?
    var isClosed = false
  }

  /// A second one, in case that the first hangs; more would pile up.
  private static let mostCalls = 2

  private let credentials: LockerConfiguration.Credentials
  /// Whether a text may repeat a password that was provided before.
  private let mayRepeatPassword: @Sendable (String) -> Bool
  private let queue: any WorkQueue
  private let clock: LockClock
  private let state = Locked(State())

  init(
    _ credentials: LockerConfiguration.Credentials, on machine: any Machine,
    mayRepeatPassword: @escaping @Sendable (String) -> Bool
  ) {
    self.credentials = credentials
    self.mayRepeatPassword = mayRepeatPassword
    queue = machine.makeQueue("credentials", .extensions)
    clock = machine.clock
  }

  /// Passes on the closure's answer, or why there is none by the deadline; gives up the call before.
  func ask(by deadline: Instant, completion: @escaping Completion) {
    abandon()
    let number: Int? = state.withLock { state in
      guard !state.isClosed, state.callCount < Self.mostCalls else { return nil }
      state.callCount += 1
      state.number += 1
      state.completion = completion
      return state.number
    }
    guard let number else {
      return completion(
        .failure(
          .noCredentials("credentials: \(Self.mostCalls) earlier calls have not returned yet")))
    }
    do throws(SystemError) {
      try ProgramExecutor.shared.prepare()
    } catch {
      state.withLock { $0.callCount -= 1 }
      let text = "credentials: the system allows no thread for the call: \(error)"
      return finish(number, with: .failure(.noCredentials(text)))
    }
    let left = max(clock.now.duration(to: deadline), .zero)
    // The task and its closure are the program's from here on.
    let task = Task.detached(executorPreference: ProgramExecutor.shared) {
      [self] in
      let result = await answer()
      state.withLock { $0.callCount -= 1 }
      finish(number, with: result)
    }
    let isDone = state.withLock { state in
      guard state.number == number, state.completion != nil else { return true }
      state.task = task
      return false
    }
    guard !isDone else { return cancel(task) }
    // A moment before the caller's time ends, too, so that the caller learns why. The task keeps this object as long as
    // the call has not returned; nothing has to do so afterwards.
    queue.async(after: left - min(left / 10, .milliseconds(50))) { [weak self] in
      let text = "credentials: the call did not return within the connect timeout"
      self?.finish(number, with: .failure(.noCredentials(text)))
    }
  }

  /// Gives up for good.
  func close() {
    state.withLock { $0.isClosed = true }
    abandon()
  }

  private func abandon() {
    let task = state.withLock { state in
      state.completion = nil
      return state.task.take()
    }
    cancel(task)
  }

  private func finish(_ number: Int, with result: Result<Answer, TransportError>) {
    let (completion, task): (Completion?, Task<Void, Never>?) = state.withLock { state in
      guard state.number == number else { return (nil, nil) }
      return (state.completion.take(), state.task.take())
    }
    cancel(task)
    completion?(result)
  }

  /// Cancels elsewhere, since the program's handlers of the cancellation run within the call.
  private func cancel(_ task: Task<Void, Never>?) {
    guard let task else { return }
    ProgramExecutor.shared.run { task.cancel() }
  }

  /// Calls the closure and puts what it throws into words, both of which is code of the program.
  private func answer() async -> Result<Answer, TransportError> {
    let answer: Answer
    do {
      answer = try await credentials.provide()
    } catch {
      let text = "\(error)".escaped(upTo: 256)
      let shown =
        mayRepeatPassword(text)
        ? "the error's words are withheld, since they may repeat a password" : text
      return .failure(.noCredentials("credentials: \(shown)"))
    }
    do throws(LockError) {
      try LockerConfiguration.check(
        username: answer.username, password: answer.password, .invalidOptions)
      return .success(answer)
    } catch {
      return .failure(.noCredentials("credentials: \(error.message)"))
    }
  }
}
