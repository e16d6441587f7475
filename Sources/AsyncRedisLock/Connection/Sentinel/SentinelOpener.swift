internal import Synchronization

/// Opens streams to the primary that the sentinels name, asking one after the other, each within its share of the time.
///
/// It asks anew for each connection. The login decides whether the server is the primary; if it is not,
/// ``noteWrongServer()`` makes the next attempt begin with another sentinel.
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
  }

  private struct State {
    /// Tells a run from earlier ones, which have been given up.
    var run = 0
    var isCancelled = false
    var question: SentinelQuestion?
    var openers: [Address: any StreamOpener] = [:]
    /// The server that the last stream led to, and the sentinel that named it.
    var last: (address: Address, sentinel: Address.Sentinel?)?

    /// Notes the question under way; returns false if its run has been given up.
    mutating func begin(_ question: SentinelQuestion, run: Int) -> Bool {
      guard self.run == run, !isCancelled else { return false }
      self.question = question
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
      return (state.run, state.question.take())
    }
    former?.cancel()
    let run = Run(number: number, deadline: deadline, completion: completion)
    let known = directory.known
    guard purpose == .grants, let primary = known.primary else {
      return askNext(of: known.order[...], run)
    }
    // If the server is dead, half of the time is left for asking where the next one is.
    connect(to: primary, by: clock.now + left(of: run) / 2, run) { [self] result in
      guard case .success(let stream) = result else { return askNext(of: known.order[...], run) }
      state.withLock { $0.last = (primary, nil) }
      completion(.success(stream))
    }
  }

  func cancel() {
    let (question, openers) = state.withLock { state in
      state.isCancelled = true
      state.run += 1
      defer { state.openers = [:] }
      return (state.question.take(), state.openers.values)
    }
    question?.cancel()
    for opener in openers { opener.cancel() }
  }

  func noteWrongServer() {
    guard let last = state.withLock({ $0.last.take() }) else { return }
    directory.isNotPrimary(last.address, namedBy: last.sentinel)
  }

  private var clock: LockClock { directory.machine.clock }

  private func left(of run: Run) -> Duration { max(clock.now.duration(to: run.deadline), .zero) }

  // MARK: One sentinel after the other

  private func askNext(of sentinels: ArraySlice<Address.Sentinel>, _ run: Run) {
    guard let sentinel = sentinels.first else {
      return run.completion(
        .failure(SentinelFailure.summary(of: run.failures, primary: directory.primary)))
    }
    let deadline = clock.now + left(of: run) / sentinels.count
    // What is asked before a change is told does not count behind it.
    let changeCount = directory.known.changeCount
    ask(sentinel, by: deadline, run) { [self] result in
      switch result {
      case .failure(let cause): goOn(behind: sentinels, .failed(cause), run)
      case .success(nil): goOn(behind: sentinels, .knowsNothing, run)
      case .success(let address?):
        connect(to: address, by: deadline, run) { [self] result in
          switch result {
          case .failure(let cause): goOn(behind: sentinels, .failed(cause), run)
          case .success(let stream):
            guard accepts(address, from: sentinel, changeCount: changeCount) else {
              let cause = TransportError.unreachable("the primary has changed meanwhile")
              return goOn(behind: sentinels, .failed(cause), run)
            }
            run.completion(.success(stream))
          }
        }
      }
    }
  }

  private func goOn(
    behind sentinels: ArraySlice<Address.Sentinel>, _ reason: SentinelFailure.Reason, _ run: Run
  ) {
    var run = run
    if let sentinel = sentinels.first {
      run.failures.append(SentinelFailure(sentinel: sentinel, reason: reason))
    }
    askNext(of: sentinels.dropFirst(), run)
  }

  /// Notes where the stream leads; returns false if that is history.
  private func accepts(
    _ address: Address, from sentinel: Address.Sentinel, changeCount: Int
  ) -> Bool {
    state.withLock { $0.last = (address, sentinel) }
    guard purpose == .requests else { return true }
    return directory.connected(to: address, namedBy: sentinel, changeCount: changeCount)
  }

  private func ask(
    _ sentinel: Address.Sentinel, by deadline: Instant, _ run: Run,
    completion: @escaping SentinelQuestion.Completion
  ) {
    let configuration = directory.configuration.leading(toSentinel: sentinel)
    open(configuration, by: deadline, run) { [self] result in
      switch result {
      case .failure(let cause): completion(.failure(cause))
      case .success(let stream):
        do throws(TransportError) {
          let question = try SentinelQuestion(on: stream, for: directory.primary, configuration)
          guard state.withLock({ $0.begin(question, run: run.number) }) else { return }
          try question.await(by: deadline, clock: clock, on: queue, completion: completion)
        } catch {
          completion(.failure(error))
        }
      }
    }
  }

  private func connect(
    to address: Address, by deadline: Instant, _ run: Run, completion: @escaping Completion
  ) {
    open(directory.configuration.leading(to: address), by: deadline, run, completion: completion)
  }

  /// Opens a stream; nothing comes of it if the run has been given up.
  private func open(
    _ configuration: LockerConfiguration, by deadline: Instant, _ run: Run,
    completion: @escaping Completion
  ) {
    let address = configuration.address
    let opener: (any StreamOpener)? = state.withLock { state in
      guard state.run == run.number, !state.isCancelled else { return nil }
      // It remembers what a name meant; sentinels may name any number of addresses in the course of time.
      if state.openers.count > Self.mostOpeners { state.openers = [:] }
      if let opener = state.openers[address] { return opener }
      let opener = directory.machine.makeOpener(for: configuration)
      state.openers[address] = opener
      return opener
    }
    opener?.open(by: deadline) { [self] result in
      guard state.withLock({ $0.run == run.number && !$0.isCancelled }) else { return }
      completion(result)
    }
  }

  private static let mostOpeners = 200
}
