import AsyncRedisLock

@testable import AsyncRedisLock

/// A member of a quorum in memory, whose answers a test can hold back.
///
/// It promises what a store promises: what a failed or cancelled request did is undone.
final class QuorumMemberStub: QuorumMember {
  /// How requests are answered.
  enum Mode: Sendable {
    case prompt
    /// Requests wait for ``letGo()``.
    case stalled
    case failing
    /// Only requests for keys fail.
    case refusingKeys
    /// Requests for keys are refused for good.
    case full
    /// Requests for keys are refused for the moment.
    case loading
    /// As stalled, but the answer counts though the task was cancelled meanwhile.
    case late
  }

  private struct State {
    var mode = Mode.prompt
    var isConnected = true
    var holders: [String: String] = [:]
    var counter: UInt64
    var later: [@Sendable () -> Void] = []
    var requests: [String] = []
    var deadline: Instant?
    var undos: [PendingUndo] = []
    var run: Result<ServerRun, StoreFailure>?
  }

  let name: String
  let clock: LockClock
  let randomness = Randomness.system
  let lockerID = "0123456789abcdef"
  let isFencing = true
  let roundTrip = Duration.zero
  private let state: Locked<State>

  init(
    _ name: String, counter: UInt64 = 0, startedBy: Instant = .now - .seconds(3600),
    clock: LockClock = .system
  ) {
    self.name = name
    self.clock = clock
    state = Locked(
      State(counter: counter, run: .success(ServerRun(id: name, startedBy: startedBy))))
  }

  var serverRun: Result<ServerRun, StoreFailure>? { state.withLock { $0.run } }
  var holders: [String: String] { state.withLock { $0.holders } }
  var counter: UInt64 { state.withLock { $0.counter } }
  var requests: [String] { state.withLock { $0.requests } }
  /// The deadline of the last extension.
  var deadline: Instant? { state.withLock { $0.deadline } }

  var mode: Mode {
    get { state.withLock { $0.mode } }
    set { state.withLock { $0.mode = newValue } }
  }

  /// Whether it is connected; a request to connect again changes that only by ``letGo()``.
  var isConnected: Bool {
    get { state.withLock { $0.isConnected } }
    set { state.withLock { $0.isConnected = newValue } }
  }

  func setHolder(_ holder: String?, of key: String) { state.withLock { $0.holders[key] = holder } }

  /// As if the server had been restarted just now, with its data or without.
  func restart() {
    state.withLock {
      $0.holders = [:]
      $0.run = .success(ServerRun(id: name + "'", startedBy: .now))
    }
  }

  /// How many requests wait.
  var waitingCount: Int { state.withLock { $0.later.count } }

  /// Answers all that waits, and all further requests at once.
  func letGo() {
    let later = state.withLock { state in
      state.mode = .prompt
      defer { state.later = [] }
      return state.later
    }
    for action in later { action() }
  }

  /// Ends the undos of failed requests.
  func endUndos() { state.withLock { $0.undos.removeAll() } }

  func reconnect(by deadline: Instant, completion: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.requests.append("reconnect")
      state.later.append { [self] in
        isConnected = true
        completion()
      }
    }
  }

  // MARK: Taking

  func request(
    _ claim: Claim, _ question: KeyQuestion, by deadline: Instant, undos: UndoRecord,
    completion: @escaping @Sendable (Result<Acquisition, StoreFailure>) -> Void
  ) -> KeyCall {
    let isCancelled = Shared(false)
    let (kind, numbers, former): (String, Int, String?) =
      switch question {
      case .acquire(let numbers), .inquire(let numbers): ("acquire", numbers, nil)
      case .adopt(let token, let numbers): ("adopt", numbers, token)
      }
    let isLate = mode == .late
    let answer: @Sendable () -> Void = { [self] in
      if [.failing, .refusingKeys].contains(mode) {
        let undo = undos.begin()
        state.withLock { $0.undos.append(undo) }
        return completion(.failure(.unreachable("away")))
      }
      if mode == .full {
        return completion(
          .failure(.refused(code: "OOM", message: "OOM", isTransient: false)))
      }
      if mode == .loading {
        return completion(
          .failure(.refused(code: "LOADING", message: "LOADING", isTransient: true)))
      }
      // The answer of a cancelled request is dropped, and an undo is behind it.
      if isCancelled.value, !isLate { return completion(.failure(.cancelled)) }
      completion(.success(take(claim, from: former, numbers)))
    }
    let isHeldBack = state.withLock { state in
      state.requests.append(kind)
      let isHeldBack = [.stalled, .late].contains(state.mode)
      if isHeldBack { state.later.append(answer) }
      return isHeldBack
    }
    if !isHeldBack { answer() }
    return KeyCall { isCancelled.value = true }
  }

  private func take(_ claim: Claim, from former: String?, _ numbers: Int) -> Acquisition {
    let key = claim.keys[0]
    return state.withLock { state in
      let holder = state.holders[key]
      let isFree = former.map { holder == $0 } ?? (holder == nil || holder == claim.token)
      guard isFree else { return .contended(KeyState(holder: holder ?? "", remaining: nil)) }
      state.holders[key] = claim.token
      state.counter += UInt64(numbers)
      let last = state.counter
      return .held(sentAt: clock.now, numbers: last + 1 - UInt64(numbers)..<last + 1)
    }
  }

  private func answer(
    _ claim: Claim, _ question: KeyQuestion, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    let promise = Promise<Result<Acquisition, StoreFailure>>()
    _ = request(claim, question, by: deadline, undos: UndoRecord()) { promise.fulfil($0) }
    return try await promise.value.get()
  }

  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await answer(claim, .acquire(numbers: numbers), by: deadline)
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await answer(claim, .inquire(numbers: numbers), by: deadline)
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await answer(claim, .adopt(from: token, numbers: numbers), by: deadline)
  }

  func restore(
    _ claim: Claim, to former: String, undos: UndoRecord, by deadline: Instant,
    completion: @escaping @Sendable (Result<Void, StoreFailure>) -> Void
  ) {
    answer("restore") { [self] in
      state.withLock { state in
        guard state.holders[claim.keys[0]] == claim.token else { return }
        state.holders[claim.keys[0]] = former
      }
      completion(.success(()))
    }
  }

  // MARK: Keeping and giving back

  private func answer(_ kind: String, _ body: @escaping @Sendable () -> Void) {
    let isStalled = state.withLock { state in
      state.requests.append(kind)
      if state.mode == .stalled { state.later.append(body) }
      return state.mode == .stalled
    }
    if !isStalled { body() }
  }

  func raiseFence(
    above number: UInt64, for claim: Claim, by deadline: Instant,
    completion: @escaping @Sendable (Result<Bool, StoreFailure>) -> Void
  ) {
    answer("raise") { [self] in
      if mode == .failing { return completion(.failure(.unreachable("away"))) }
      completion(
        .success(
          state.withLock { state in
            guard state.holders[claim.keys[0]] == claim.token else { return false }
            state.counter = max(state.counter, number) + 1
            return true
          }))
    }
  }

  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    state.withLock { $0.deadline = deadline }
    answer("extend") { [self] in
      if mode == .failing { return completion(.failure(.unreachable("away"))) }
      let holders = holders
      let outcomes = extensions.map { one -> Extended.Outcome in
        guard let holder = holders[one.claim.keys[0]] else { return .deleted }
        return holder == one.claim.token ? .ours : .taken(by: holder)
      }
      completion(.success(Extended(sentAt: clock.now, outcomes: outcomes, numbers: 0..<0)))
    }
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    answer("release") { [self] in
      let isOwn = state.withLock { state in
        guard state.holders[release.claim.keys[0]] == release.claim.token else { return false }
        state.holders[release.claim.keys[0]] = nil
        return true
      }
      let holder = isOwn ? nil : holders[release.claim.keys[0]]
      let outcome: ReleaseOutcome =
        isOwn ? .released : holder == nil ? .deleted : .takenByAnother
      completion(
        .success(ReleaseReport(outcome: outcome, isContended: false, holder: holder)))
    }
  }

  // MARK: The rest

  func makeToken(for keys: [String], label: String?) -> String { "token" }
  func connect(by deadline: Instant) async throws(StoreFailure) {}
  func ping(by deadline: Instant) async throws(StoreFailure) {}
  func isTold(of keys: [String]) -> Bool { false }
  func mayQueueUntold(for keys: [String]) -> Bool { false }
  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void
  ) { completion(false) }
  func listen(for claim: Claim, _ listener: @escaping @Sendable (Notice) -> Void) {}
  func stopListening(for claim: Claim) {}
  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, reservation: Duration?, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) { completion(.failure(.closed)) }
  func cancel(_ claim: Claim, lapse: Duration) {}
  func noteUntoldGrant(of claim: Claim) {}
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    holders[key].map {
      Inspection(state: KeyState(holder: $0, remaining: .seconds(1)), waiterCount: 0, waiters: [])
    }
  }
  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    state.withLock { $0.holders.removeValue(forKey: key) }
  }
  func stop() { state.withLock { $0.requests.append("stop") } }
  func close() -> Promise<Void> {
    let promise = Promise<Void>()
    promise.fulfil(())
    return promise
  }
}
