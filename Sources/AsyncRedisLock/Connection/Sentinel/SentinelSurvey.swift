internal import Synchronization

/// Asks all sentinels for the primary at once, each once.
///
/// One sentinel alone may not have heard of the last failover, and a few that answer fast must not outvote the others.
final class SentinelSurvey: Sendable {
  typealias Sentinel = LockerConfiguration.Address.Sentinel

  struct Outcome: Sendable {
    var answers = SentinelState.Answers()
    var failures: [SentinelFailure] = []
  }

  private struct State {
    var awaited: Set<Sentinel>
    var outcome = Outcome()
    var hasFailures = false
    var questions: [StreamQuestion] = []
    /// Nil once the survey is over.
    var completion: (@Sendable (Outcome) -> Void)?
  }

  /// How long a survey that is done at once when settled waits for later news of the others.
  ///
  /// A sentinel that works answers within milliseconds; one whose host is gone must not hold up every login.
  static let longestWaitForOthers = Duration.milliseconds(250)

  private let sentinels: [Sentinel]
  private let primary: String
  /// What was known at the beginning.
  private let known: SentinelState
  /// Whether all are waited for, whatever the first ones answer.
  private let isThorough: Bool
  private let configuration: LockerConfiguration
  private let clock: LockClock
  private let queue: any WorkQueue
  private let state: Locked<State>

  init(
    of directory: SentinelDirectory, isThorough: Bool, on queue: any WorkQueue,
    completion: @escaping @Sendable (Outcome) -> Void
  ) {
    known = directory.known
    self.isThorough = isThorough
    sentinels = known.order
    primary = directory.primary
    configuration = directory.configuration
    clock = directory.machine.clock
    self.queue = queue
    state = Locked(State(awaited: Set(sentinels), completion: completion))
  }

  /// Asks on the streams of an opener for each sentinel; the completion is called once, by the deadline.
  func run(by deadline: Instant, openers: (LockerConfiguration) -> (any StreamOpener)?) {
    for sentinel in sentinels {
      let configuration = configuration.leading(toSentinel: sentinel)
      openers(configuration)?.open(by: deadline) { [self] result in
        ask(sentinel, on: result, by: deadline, configuration)
      }
    }
    queue.async(after: max(clock.now.duration(to: deadline), .zero)) { [weak self] in
      self?.end(isFull: true)?()
    }
  }

  /// Forgets the completion.
  func cancel() { _ = end(isFull: false) }

  private func ask(
    _ sentinel: Sentinel, on result: Result<any ByteStream, TransportError>, by deadline: Instant,
    _ configuration: LockerConfiguration
  ) {
    do throws(TransportError) {
      let questions = PrimaryAnswer.questions(primary)
      let hook = Handshake.ConnectHook(
        commands: { questions }, received: { _ in true }, scriptCount: 0)
      let question = try StreamQuestion(
        on: try result.get(), Handshake(configuration, connectHook: hook, isSentinel: true))
      let isOver = state.withLock { state in
        if state.completion != nil { state.questions.append(question) }
        return state.completion == nil
      }
      guard !isOver else { return question.cancel() }
      try question.await(by: deadline, clock: clock, on: queue) { [self] result in
        note(
          result.flatMap { replies in
            Result { () throws(TransportError) in try PrimaryAnswer.read(replies.suffix(2)) }
          }, by: sentinel)
      }
    } catch {
      note(.failure(error), by: sentinel)
    }
  }

  private func note(
    _ answer: Result<PrimaryAnswer?, TransportError>, by sentinel: Sentinel
  ) {
    let (isOver, isSettled): (Bool, Bool) = state.withLock { state in
      state.awaited.remove(sentinel)
      switch answer {
      case .success(let answer?):
        state.outcome.answers.named.append(
          SentinelState.Named(sentinel: sentinel, answer: answer))
        state.outcome.answers.answered.insert(sentinel)
      case .success(nil):
        state.outcome.answers.answered.insert(sentinel)
        state.outcome.failures.append(SentinelFailure(sentinel: sentinel, reason: .knowsNothing))
      case .failure(let cause):
        state.hasFailures = true
        state.outcome.failures.append(SentinelFailure(sentinel: sentinel, reason: .failed(cause)))
      }
      state.outcome.answers.isComplete = state.awaited.isEmpty && !state.hasFailures
      return (state.awaited.isEmpty, mayEnd(state))
    }
    if isOver {
      end(isFull: true)?()
    } else if isSettled {
      queue.async(after: Self.longestWaitForOthers) { [weak self] in
        guard let self, state.withLock({ self.mayEnd($0) }) else { return }
        end(isFull: false)?()
      }
    }
  }

  private func mayEnd(_ state: State) -> Bool {
    !isThorough && known.isSettled(state.outcome.answers, awaited: state.awaited)
  }

  /// Ends the survey; returns the call that reports its outcome, unless it has ended before.
  ///
  /// `isFull` tells that those that have not answered were waited for.
  private func end(isFull: Bool) -> (() -> Void)? {
    let (completion, outcome, questions) = state.withLock { state in
      state.outcome.answers.isFull = isFull
      let heard =
        state.outcome.answers.named.map(\.sentinel) + state.outcome.failures.map(\.sentinel)
      state.outcome.failures += sentinels.filter { !heard.contains($0) }.map {
        SentinelFailure(sentinel: $0, reason: .failed(.timedOut))
      }
      defer { state.questions = [] }
      return (state.completion.take(), state.outcome, state.questions)
    }
    for question in questions { question.cancel() }
    return completion.map { completion in { completion(outcome) } }
  }
}
