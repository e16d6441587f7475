internal import Synchronization

/// Stores locks on several independent members, of which a majority decides.
///
/// There are no queues: the members' servers are asked again and again. All members get the same token.
final class QuorumStore: LockStore {
  let members: [any QuorumMember]
  let names: [String]
  /// How long a restarted server gets no new locks, which it may have forgotten; zero if servers keep their data.
  let restartDelay: Duration
  let operationTimeout: Duration
  let isFencing: Bool
  let lockerID: String
  /// Limits the calls at a time, each of which asks all servers, maybe twice.
  ///
  /// If more calls did so at once than the servers or this process can serve within
  /// the operation timeout, all would fail, be undone, and ask again.
  let gate: FairGate? = FairGate(100)
  /// The claims that may have keys.
  let claims = Locked<[String: QuorumClaim]>([:])
  /// The members that are being connected again for the sake of locks that they do not have.
  let reconnecting = Locked<Set<Int>>([])
  /// The requests for keys that have not ended.
  private let requests = Locked(OpenRequests())
  private let nextToken: @Sendable (_ label: String?) -> String
  private let closed: @Sendable () -> Void
  private let ended = Promise<Void>()

  /// The requests for keys that have not ended, and what waits for their end.
  private struct OpenRequests {
    var count = 0
    var isClosing = false
    var timer: (any WakeTimer)?
    /// The claims that were left to another process while members were being asked for their keys.
    var left: [QuorumClaim] = []
    /// The members that are stopped only when they are no longer asked for keys that were left.
    var stopping: Set<Int> = []

    /// The members that are being asked for keys that were left.
    var busy: Set<Int> { Set(left.flatMap(\.asked)) }

    /// Counts one more; returns false if the store is being closed.
    mutating func begin() -> Bool {
      if !isClosing { count += 1 }
      return !isClosing
    }

    /// Forgets the left claims whose requests have ended; returns the members that are to be stopped now.
    mutating func forgetLeft() -> Set<Int> {
      guard !left.isEmpty else { return [] }
      left.removeAll(where: \.asked.isEmpty)
      let former = stopping
      stopping.formIntersection(busy)
      return former.subtracting(stopping)
    }

    /// Counts one less; returns whether it was the last that closing waits for.
    mutating func end() -> Bool {
      count -= 1
      return isClosing && count == 0
    }
  }

  /// Creates a store of at least three members with the same options.
  ///
  /// `makeToken` makes tokens that say that waiters are not notified; `closed` is called when all members are closed.
  init(
    _ members: [any QuorumMember], restartDelay: Duration, operationTimeout: Duration,
    lockerID: String, makeToken: @escaping @Sendable (_ label: String?) -> String,
    closed: @escaping @Sendable () -> Void = {}
  ) {
    self.members = members
    self.restartDelay = restartDelay
    self.operationTimeout = operationTimeout
    self.lockerID = lockerID
    self.closed = closed
    names = members.map(\.name)
    isFencing = members[0].isFencing
    nextToken = makeToken
  }

  var majority: Int { QuorumTally.majority(of: members.count) }

  var clock: LockClock { members[0].clock }

  var randomness: Randomness { members[0].randomness }

  /// How long a majority takes to answer.
  var roundTrip: Duration { members.map(\.roundTrip).sorted()[majority - 1] }

  var longestTTL: Duration? { restartDelay > .zero ? restartDelay : nil }

  func makeToken(for keys: [String], label: String?) -> String { nextToken(label) }

  var isConnected: Bool {
    var servers: Set<String> = []
    let count = members.indices.count { member in
      guard members[member].isConnected else { return false }
      return server(of: member).map { servers.insert($0).inserted } ?? true
    }
    return count >= majority
  }

  /// The process of a member's server, if it is known.
  func server(of member: Int) -> String? { try? members[member].serverRun?.get().id }

  // MARK: Waiting

  func isTold(of keys: [String]) -> Bool { false }
  func mayQueueUntold(for keys: [String]) -> Bool { false }

  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void
  ) { completion(false) }

  func listen(for claim: Claim, _ listener: @escaping @Sendable (Notice) -> Void) {}

  /// Leaves the keys where they are, and where members get them that are being asked for them.
  ///
  /// On a bare majority, they would not survive the loss of any server until they are adopted.
  func stopListening(for claim: Claim) {
    guard let record = claims.withLock({ $0.removeValue(forKey: claim.token) }) else { return }
    record.leave()
    requests.withLock { requests in
      if !record.asked.isEmpty { requests.left.append(record) }
    }
  }

  func noteUntoldGrant(of claim: Claim) {}

  /// Fails, because there are no queues; the keys are requested by ``inquire(_:numbers:by:)`` instead.
  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, reservation: Duration?, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) {
    completion(
      .failure(.refused(code: "ERR", message: "a quorum has no queues", isTransient: true)))
  }

  func cancel(_ claim: Claim, lapse: Duration) { giveUp(claim) }

  // MARK: Requests for keys

  /// Asks a member for keys, without a task: the program may block all threads that run tasks.
  ///
  /// The request goes on when enough others have been answered, and is cancelled only when its claim has ended. If its
  /// answer must not count for a reason that `objection` returns, the keys are given back.
  func start(
    _ record: QuorumClaim, at member: Int, _ question: KeyQuestion, by deadline: Instant,
    objection: @escaping @Sendable (Acquisition) -> StoreFailure? = { _ in nil },
    _ report: @escaping KeyReport
  ) {
    guard requests.withLock({ $0.begin() }) else {
      _ = record.conclude(.refused, at: member)
      return report(.failure(.closed))
    }
    let undos = record.undos[member]
    let task = members[member].request(record.claim, question, by: deadline, undos: undos) {
      [self] result in
      var answer = result
      if case .success(let acquisition) = result, let failure = objection(acquisition) {
        // It is not known when that is over.
        undos.neverEnds()
        if case .held = acquisition { giveBack(record, at: [member]) }
        answer = .failure(failure)
      }
      report(conclude(answer, for: record, at: member))
      endRequest()
    }
    if !record.attach(task, at: member) { task.cancel() }
  }

  /// Gets the answer of a member.
  typealias KeyReport = @Sendable (Result<Acquisition, StoreFailure>) -> Void

  /// Notes an answer, and has a member give back what it got too late; returns the answer that counts.
  private func conclude(
    _ answer: Result<Acquisition, StoreFailure>, for record: QuorumClaim, at member: Int
  ) -> Result<Acquisition, StoreFailure> {
    switch answer {
    case .success(.held):
      if !record.conclude(.held, at: member) {
        giveBack(record, at: [member], restores: record.isRestored)
      }
    case .success(.contended): _ = record.conclude(.refused, at: member)
    case .failure: _ = record.conclude(.spoiled, at: member)
    }
    return answer
  }

  private func endRequest() {
    let (isLast, timer, idle) = requests.withLock { requests in
      let idle = requests.forgetLeft()
      let isLast = requests.end()
      return (isLast, isLast ? requests.timer.take() : nil, idle)
    }
    for member in idle { members[member].stop() }
    timer?.cancel()
    if isLast { closeMembers() }
  }

  // MARK: Giving up

  /// Ends a claim that no party relies on, and gives its keys back everywhere.
  func giveUp(_ claim: Claim) {
    guard let record = claims.withLock({ $0.removeValue(forKey: claim.token) }) else { return }
    giveUp(record)
  }

  /// Ends a claim, and gives its keys back everywhere; if it `restores` them, to their former holder.
  func giveUp(_ record: QuorumClaim, restores: Bool = false) {
    claims.withLock { _ = $0.removeValue(forKey: record.claim.token) }
    let end = record.end(restores: restores)
    for task in end.tasks { task.cancel() }
    giveBack(record, at: end.holders, restores: restores)
  }

  /// Has members give the keys of a claim back, in the background.
  ///
  /// A member that cannot give them to their former holder frees them.
  func giveBack(_ record: QuorumClaim, at holders: [Int], restores: Bool = false) {
    guard restores, let former = record.former else {
      return giveBack(record.claim, lasting: record.longestTTL, at: holders)
    }
    for member in holders {
      members[member].restore(
        record.claim, to: former, undos: record.undos[member], by: clock.now + operationTimeout
      ) { [self] result in
        if case .failure = result { giveBack(record, at: [member]) }
      }
    }
  }

  /// Has members free the keys of a claim, in the background.
  func giveBack(_ claim: Claim, lasting ttl: Duration, at members: some Sequence<Int>) {
    let now = clock.now
    let release = Release(
      claim: claim, validUntil: now, keysLastUntil: now + ttl, wasValid: false,
      isRepetition: false, isAwaited: false, keptUntil: nil, hasQueued: false)
    for member in members {
      self.members[member].release(release, by: now + operationTimeout) { _ in }
    }
  }

  /// Frees the keys of the token that a claim took them over from, where the claim has not got them.
  func freeFormer(of record: QuorumClaim, except holders: [Int] = []) {
    guard let former = record.former else { return }
    let claim = Claim(record.claim.lockKeys, token: former, ttl: record.claim.ttl)
    giveBack(claim, lasting: claim.ttl, at: members.indices.filter { !holders.contains($0) })
  }

  // MARK: Closing

  /// Stops the members, but those last that are being asked for keys that were left to another process.
  func stop() {
    let connected = Set(members.indices.filter { members[$0].isConnected })
    let busy = requests.withLock { requests in
      requests.stopping = requests.busy.intersection(connected)
      return requests.stopping
    }
    for member in members.indices where !busy.contains(member) { members[member].stop() }
  }

  @discardableResult
  func close() -> Promise<Void> {
    stop()
    // A key that arrives just now is given back first.
    let isIdle = requests.withLock { requests -> Bool? in
      guard !requests.isClosing else { return nil }
      requests.isClosing = true
      return requests.count == 0
    }
    guard let isIdle else { return ended }
    for record in claims.withLock({ Array($0.values) }) { giveUp(record) }
    guard !isIdle else {
      closeMembers()
      return ended
    }
    let timer = clock.makeTimer { [self] in closeMembers() }
    timer.set(for: clock.now + operationTimeout)
    let isOver = requests.withLock { requests in
      if requests.count > 0 { requests.timer = timer }
      return requests.count == 0
    }
    if isOver { timer.cancel() }
    return ended
  }

  private func closeMembers() {
    let promises = members.map { $0.close() }
    Task.detached(executorPreference: globalConcurrentExecutor, priority: .high) { [self] in
      for promise in promises { await promise.value }
      if ended.fulfil(()) { closed() }
    }
  }
}
