internal import Synchronization

/// Finds out whether replicas have what the primary has done, in rounds on a connection of its own.
///
/// `WAIT` on the locker's main connection would keep all requests behind it waiting. One round is under way at a
/// time, and serves all operations that were answered before it was sent.
final class Acknowledger: Sendable {
  private enum Phase {
    case idle
    /// A round has been submitted.
    case asking
    /// The next round comes after a pause, because the last one was none.
    case pausing
    case closed
  }

  private struct State {
    var phase = Phase.idle
    /// The operations that wait for the next round.
    var waiting: [Acknowledgement] = []
    /// The operations that the round under way is for.
    var asked: [Acknowledgement] = []
    /// Why the last round was of no use; nil if it was.
    var trouble: String?
  }

  /// What the locker does about the servers that rounds have found.
  struct Servers: Sendable {
    /// The server that the locker's requests go to.
    let inUse: @Sendable () -> PrimaryRun.Identity?
    /// Makes the locker connect again.
    let reconnect: @Sendable (_ reason: String) -> Void
  }

  private let replicas: Int
  private let key: String
  private let operationTimeout: Duration
  private let connection: Connection
  /// The server that it leads to.
  private let primary: KnownPrimary
  private let servers: Servers
  private let reporter: Reporter
  private let deadlines: DeadlineQueue<Acknowledgement>
  private let smoothedDuration = Atomic<Int64>(0)
  private let state: Locked<State>

  /// Creates one, which connects when it is needed; `sentinels` is nil if there are none.
  init(
    _ configuration: LockerConfiguration, names: ServerKeys, via sentinels: SentinelDirectory?,
    servers: Servers, on machine: any Machine, reporter: Reporter
  ) throws(TransportError) {
    let primary = KnownPrimary()
    let hook = Handshake.ConnectHook(
      commands: { PrimaryRun.commands },
      received: { replies in
        primary.current = PrimaryRun(replies)
        return true
      }, scriptCount: 0)
    connection = try Connection(
      configuration, connectHook: hook, over: sentinels?.makeOpener(.grants), reporter: nil,
      on: machine)
    replicas = configuration.replicaAcknowledgements
    key = names.acknowledgement
    operationTimeout = configuration.operationTimeout
    self.primary = primary
    self.servers = servers
    self.reporter = reporter
    deadlines = DeadlineQueue(clock: machine.clock) { $0.isOver }
    state = Locked(State())
    deadlines.start { [weak self] due, _ in
      for entry in due { self?.fail(entry.item, because: nil) }
      return []
    }
  }

  deinit { close() }

  private var clock: LockClock { connection.clock }

  /// How long a round takes, averaged over the last successful ones; zero before the first.
  var duration: Duration { .nanoseconds(smoothedDuration.load(ordering: .relaxed)) }

  /// Connects now, so that the first operation need not wait for that.
  func connect() {
    connection.submit(Request([], deadline: clock.now + operationTimeout) { _ in })
  }

  /// Connects again, because the server is the wrong one by now; a round under way is repeated.
  func reconnect(because reason: String) { connection.reconnect(because: reason) }

  /// Ends an operation when enough replicas have it, or with a failure by its deadline.
  func submit(_ operation: Acknowledgement) {
    let begins: Bool? = state.withLock { state in
      guard case .closed = state.phase else {
        state.waiting.append(operation)
        guard case .idle = state.phase else { return false }
        state.phase = .asking
        return true
      }
      return nil
    }
    guard let begins else { return _ = operation.finish(.failure(.closed)) }
    deadlines.add(operation, due: operation.deadline)
    if begins { ask() }
  }

  /// Fails all operations, now and later, and disconnects.
  ///
  /// The operations have failed when this returns, so that what they have done can be taken back.
  func close() {
    let operations = state.withLock { state in
      state.phase = .closed
      defer { (state.waiting, state.asked) = ([], []) }
      return state.asked + state.waiting
    }
    for operation in operations { operation.finish(.failure(.closed)) }
    // The answer to WAIT may be a long way off.
    connection.reconnect(because: "closed")
    connection.close()
  }

  // MARK: Rounds

  private func ask() {
    connection.submit(
      Request(
        AcknowledgementRequest { [weak self] in self?.beginRound() },
        deadline: clock.now + operationTimeout
      ) { [weak self] in self?.conclude($0) })
  }

  /// Takes all operations that wait, and returns the commands of a round for them; nil if there are none.
  private func beginRound() -> [Command]? {
    let last: Instant? = state.withLock { state in
      state.asked += state.waiting.filter { !$0.isOver }
      state.waiting = []
      return state.asked.lazy.map(\.deadline).max()
    }
    guard let last else { return nil }
    // The answer has to come before the last deadline, and before the connection takes the silence for its end.
    let patience = min(clock.now.duration(to: last), operationTimeout) * 0.9
    return AcknowledgementRound.commands(
      key: key, replicas: replicas, milliseconds: patience.wholeMilliseconds)
  }

  private func conclude(_ result: Result<Request.Answer, TransportError>) {
    let asked = state.withLock { state in
      defer { state.asked = [] }
      return state.asked
    }
    let round: AcknowledgementRound
    switch result {
    // All operations were given up before it was sent.
    case .success(let answer) where answer.replies.isEmpty: return goOn(with: [], trouble: nil)
    case .success(let answer): round = AcknowledgementRound(answer.replies, on: primary.current)
    case .failure(let failure): round = AcknowledgementRound(failure)
    }
    switch round {
    case .counted(let count, _):
      if count >= replicas, case .success(let answer) = result {
        noteDuration(since: answer.sentAt)
      }
      decide(round, about: asked)
    case .void(let reason): goOn(with: asked, trouble: reason)
    case .unintelligible:
      connection.distrust()
      goOn(with: asked, trouble: "an answer of the wrong type")
    case .impossible(let failure):
      let waiting = state.withLock { state in
        defer { state.waiting = [] }
        return state.waiting
      }
      for operation in asked + waiting { operation.finish(.failure(failure)) }
      // Its next login may tell what the last did not.
      if case .failure? = primary.current?.identity {
        connection.reconnect(because: "INFO was refused")
      }
      goOn(with: [], trouble: nil)
    }
  }

  private func decide(_ round: AcknowledgementRound, about operations: [Acknowledgement]) {
    let inUse = servers.inUse()
    var (again, trouble, shortage) = ([Acknowledgement](), String?.none, String?.none)
    for operation in operations {
      switch round.verdict(for: operation.primary, needing: replicas, inUse: inUse) {
      case .acknowledged: operation.finish(.success(()))
      case .again: again.append(operation)
      case .elsewhere:
        again.append(operation)
        trouble = "the connection for acknowledgements leads to another server"
      case .lost(let reason):
        fail(operation, because: reason)
        // Until its next login, the locker would take the server for what it was before.
        if operation.primary == inUse { servers.reconnect(reason) }
      case .tooFew(let count):
        shortage = "\(count) of \(replicas) did"
        fail(operation, because: shortage)
      }
    }
    // Also for those that have no time for a round of their own.
    state.withLock { $0.trouble = shortage }
    if let trouble { connection.reconnect(because: trouble) }
    goOn(with: again, trouble: trouble)
  }

  /// Goes on with the next round, if there is anything to ask for: after a moment, if the last one was none.
  private func goOn(with again: [Acknowledgement], trouble: String?) {
    let isBusy = state.withLock { state in
      if case .closed = state.phase { return true }
      state.waiting = (again + state.waiting).filter { !$0.isOver }
      if let trouble { state.trouble = trouble }
      state.phase = state.waiting.isEmpty ? .idle : trouble == nil ? .asking : .pausing
      return state.waiting.isEmpty
    }
    for operation in again where isClosed { operation.finish(.failure(.closed)) }
    guard !isBusy else { return }
    guard trouble != nil else { return ask() }
    connection.afterPause(StoreFailure.transientPause) { [weak self] in
      guard let self else { return }
      let goesOn = state.withLock { state in
        guard case .pausing = state.phase else { return false }
        state.phase = .asking
        return true
      }
      if goesOn { ask() }
    }
  }

  private var isClosed: Bool {
    state.withLock { if case .closed = $0.phase { true } else { false } }
  }

  /// Fails an operation that replicas have not acknowledged; nil if there was no round in time.
  private func fail(_ operation: Acknowledgement, because reason: String?) {
    let reason = reason ?? state.withLock { $0.trouble } ?? "no answer in time"
    let text =
      "not acknowledged by \(replicas) \(replicas == 1 ? "replica" : "replicas"): \(reason)"
    if operation.finish(.failure(.notAcknowledged(text))) { reporter.notAcknowledged(text) }
  }

  private func noteDuration(since start: Instant) {
    let duration = start.duration(to: clock.now)
    reporter.acknowledged(after: duration)
    let sample = duration.wholeNanoseconds
    let former = smoothedDuration.load(ordering: .relaxed)
    // As for a round trip.
    smoothedDuration.store(
      former == 0 ? sample : former + (sample - former) / 8, ordering: .relaxed)
  }
}
