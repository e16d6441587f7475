internal import Synchronization

/// Opens streams to the primary that the sentinels name.
///
/// It asks all of them anew for each connection. The login decides whether the server is the primary; if it is not,
/// ``noteWrongServer()`` makes the next attempt lead elsewhere, if another is named.
final class SentinelOpener: StreamOpener {
  /// What the streams are for.
  enum Purpose: Sendable {
    case requests
    /// The streams lead where the requests go, if that is known.
    case grants
  }

  typealias Address = LockerConfiguration.Address
  private typealias Completion = @Sendable (Result<any ByteStream, TransportError>) -> Void

  /// One call of ``open(by:completion:)``.
  private struct Run: Sendable {
    let number: Int
    let deadline: Instant
    let completion: Completion
    var failures: [SentinelFailure] = []
    var surveyCount = 0
  }

  private struct State {
    /// Tells a run from earlier ones, which have been given up.
    var run = 0
    var isCancelled = false
    var survey: SentinelSurvey?
    var openers: [Address: any StreamOpener] = [:]
    /// The server that the last stream led to, and the sentinel that named it.
    var last: (address: Address, sentinel: Address.Sentinel?)?

    /// Notes the survey under way; returns false if its run has been given up.
    mutating func begin(_ survey: SentinelSurvey, run: Int) -> Bool {
      guard self.run == run, !isCancelled else { return false }
      self.survey = survey
      return true
    }
  }

  private let directory: SentinelDirectory
  private let purpose: Purpose
  private let queue: any WorkQueue
  private let state = Locked(State())

  init(of directory: SentinelDirectory, for purpose: Purpose) {
    self.directory = directory
    self.purpose = purpose
    queue = directory.machine.makeQueue("sentinels", .extensions)
  }

  func open(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<any ByteStream, TransportError>) -> Void
  ) {
    let (number, former) = state.withLock { state in
      state.run += 1
      return (state.run, state.survey.take())
    }
    former?.cancel()
    let run = Run(number: number, deadline: deadline, completion: completion)
    guard purpose == .grants, let primary = directory.known.primary else {
      return askAll(run)
    }
    // If the server is dead, half of the time is left for asking where the next one is.
    connect(to: primary.address, by: clock.now + left(of: run) / 2, run) { [self] result in
      guard case .success(let stream) = result else { return askAll(run) }
      state.withLock { $0.last = (primary.address, nil) }
      completion(.success(stream))
    }
  }

  func cancel() {
    let (survey, openers) = state.withLock { state in
      state.isCancelled = true
      state.run += 1
      defer { state.openers = [:] }
      return (state.survey.take(), state.openers.values)
    }
    survey?.cancel()
    for opener in openers { opener.cancel() }
  }

  func noteWrongServer() {
    guard let last = state.withLock({ $0.last.take() }) else { return }
    switch purpose {
    case .requests: directory.isNotPrimary(last.address, namedBy: last.sentinel)
    case .grants: directory.isDoubted(last.address)
    }
  }

  private var clock: LockClock { directory.machine.clock }

  private func left(of run: Run) -> Duration { max(clock.now.duration(to: run.deadline), .zero) }

  // MARK: Asking

  /// More changes than this within one attempt are left to the next.
  private static let mostSurveys = 3

  private func askAll(_ run: Run) {
    var run = run
    run.surveyCount += 1
    let begun = run
    // What is asked before a change is told does not count behind it.
    let changeCount = directory.known.changeCount
    let survey = SentinelSurvey(of: directory, isThorough: false, on: queue) { [self] outcome in
      var run = begun
      let candidates = directory.choose(from: outcome.answers)
      run.failures = outcome.failures
      if candidates.isEmpty {
        run.failures += outcome.answers.named.map {
          SentinelFailure(sentinel: $0.sentinel, reason: .lagsBehind)
        }
      }
      connect(to: candidates[...], changeCount: changeCount, run)
    }
    guard state.withLock({ $0.begin(survey, run: run.number) }) else { return }
    // Half of the time is left for connecting.
    survey.run(by: clock.now + left(of: run) / 2) { makeOpener(for: $0, run) }
  }

  private func connect(
    to candidates: ArraySlice<SentinelState.Named>, changeCount: Int, _ run: Run
  ) {
    guard let named = candidates.first else {
      return run.completion(
        .failure(SentinelFailure.summary(of: run.failures, primary: directory.primary)))
    }
    let deadline = clock.now + left(of: run) / candidates.count
    connect(to: named.answer.address, by: deadline, run) { [self] result in
      switch result {
      case .success(let stream):
        if accepts(named, changeCount: changeCount) { return run.completion(.success(stream)) }
        guard run.surveyCount < Self.mostSurveys else {
          return run.completion(.failure(.unreachable("the primary has changed meanwhile")))
        }
        askAll(run)
      case .failure(let cause):
        var run = run
        run.failures.append(SentinelFailure(sentinel: named.sentinel, reason: .failed(cause)))
        connect(to: candidates.dropFirst(), changeCount: changeCount, run)
      }
    }
  }

  /// Notes where the stream leads; returns false if that is history.
  private func accepts(_ named: SentinelState.Named, changeCount: Int) -> Bool {
    state.withLock { $0.last = (named.answer.address, named.sentinel) }
    guard purpose == .requests else { return true }
    return directory.connected(to: named, changeCount: changeCount)
  }

  /// Opens a stream; nothing comes of it if the run has been given up.
  private func connect(
    to address: Address, by deadline: Instant, _ run: Run, completion: @escaping Completion
  ) {
    let opener = makeOpener(for: directory.configuration.leading(to: address), run)
    opener?.open(by: deadline) { [self] result in
      guard state.withLock({ $0.run == run.number && !$0.isCancelled }) else { return }
      completion(result)
    }
  }

  /// The opener for a server or a sentinel; nil if the run has been given up.
  private func makeOpener(
    for configuration: LockerConfiguration, _ run: Run
  ) -> (any StreamOpener)? {
    state.withLock { state in
      guard state.run == run.number, !state.isCancelled else { return nil }
      // It remembers what a name meant; sentinels may name any number of addresses in the course of time.
      if state.openers.count > Self.mostOpeners { state.openers = [:] }
      if let opener = state.openers[configuration.address] { return opener }
      let opener = directory.machine.makeOpener(for: configuration)
      state.openers[configuration.address] = opener
      return opener
    }
  }

  private static let mostOpeners = 200
}
