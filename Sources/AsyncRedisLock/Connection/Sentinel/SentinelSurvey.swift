internal import Synchronization

/// Asks all sentinels for the primary at once, each once.
///
/// One sentinel alone may not have heard of the last failover.
final class SentinelSurvey: Sendable {
  typealias Sentinel = LockerConfiguration.Address.Sentinel

  struct Outcome: Sendable {
    var answers = SentinelState.Answers()
    var failures: [SentinelFailure] = []
  }

  private struct State {
    var awaited: Int
    var outcome = Outcome()
    /// Whether an answer knows of the latest failover.
    var knowsLatest = false
    var hasFailures = false
    var questions: [StreamQuestion] = []
    /// Nil once the survey is over.
    var completion: (@Sendable (Outcome) -> Void)?
  }

  /// How long the others are waited for behind the first answer that knows of the latest failover.
  ///
  /// A sentinel that works answers within milliseconds; one whose host is gone must not hold up every login.
  static let longestWaitForOthers = Duration.milliseconds(250)

  private let sentinels: [Sentinel]
  private let primary: String
  /// The number of the latest failover that a sentinel has told of.
  private let latest: UInt64
  private let configuration: LockerConfiguration
  private let clock: LockClock
  private let queue: any WorkQueue
  private let state: Locked<State>

  init(
    of directory: SentinelDirectory, on queue: any WorkQueue,
    completion: @escaping @Sendable (Outcome) -> Void
  ) {
    let known = directory.known
    sentinels = known.order
    latest = known.latest?.epoch ?? 0
    primary = directory.primary
    configuration = directory.configuration
    clock = directory.machine.clock
    self.queue = queue
    state = Locked(State(awaited: sentinels.count, completion: completion))
  }

  /// Asks on the streams of an opener for each sentinel; the completion is called once, by the deadline.
  func run(by deadline: Instant, openers: (LockerConfiguration) -> (any StreamOpener)?) {
    for sentinel in sentinels {
      let configuration = configuration.leading(toSentinel: sentinel)
      openers(configuration)?.open(by: deadline) { [self] result in
        ask(sentinel, on: result, by: deadline, configuration)
      }
    }
    end(after: clock.now.duration(to: deadline))
  }

  /// Forgets the completion.
  func cancel() { _ = end() }

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
    let (isComplete, isFirst) = state.withLock { state in
      state.awaited -= 1
      var isFirst = false
      switch answer {
      case .success(let answer?):
        isFirst = answer.epoch >= latest && !state.knowsLatest
        state.knowsLatest = state.knowsLatest || isFirst
        state.outcome.answers.named.append(
          SentinelState.Named(sentinel: sentinel, answer: answer))
      case .success(nil):
        state.outcome.failures.append(SentinelFailure(sentinel: sentinel, reason: .knowsNothing))
      case .failure(let cause):
        state.hasFailures = true
        state.outcome.failures.append(SentinelFailure(sentinel: sentinel, reason: .failed(cause)))
      }
      state.outcome.answers.isComplete = state.awaited == 0 && !state.hasFailures
      return (state.awaited == 0, isFirst)
    }
    if isComplete {
      end()?()
    } else if isFirst {
      end(after: Self.longestWaitForOthers)
    }
  }

  private func end(after time: Duration) {
    queue.async(after: max(time, .zero)) { [weak self] in self?.end()?() }
  }

  /// Ends the survey; returns the call that reports its outcome, unless it has ended before.
  private func end() -> (() -> Void)? {
    let (completion, outcome, questions) = state.withLock { state in
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
