internal import Synchronization

/// One Redis or Valkey server: the connection to it, its fence counter, and the channel of its grants.
final class RedisNode: Sendable {
  let connection: any Wire
  let fences: FenceCounter
  let names: ServerKeys
  let isFencing: Bool
  let operationTimeout: Duration
  let tokens: TokenSource
  let polls = InFlightPolls()
  let grantChannel: GrantChannel
  private let sentinels: SentinelDirectory?
  /// Waits for replicas; nil if none have to confirm anything.
  let acknowledger: Acknowledger?
  /// The server that the connection leads to, by its login; only with an acknowledger.
  let primary: KnownPrimary
  /// The server's process, by its login; only for members of a quorum.
  let serverRun: KnownServerRun?
  /// The releases that were submitted last, as long as others may join them.
  let openGroup = Locked<ReleaseGroup?>(nil)
  let reporter: Reporter
  /// Without it, this locker may not poll, and hands nothing on.
  let queueAccess: QueueAccess
  /// Whether the server has refused to run scripts: a key could be taken, and neither extended nor given back.
  let refusesScripts = Atomic<Bool>(false)
  /// Whether a script was refused because its slot is half moved.
  let isHalfMoved = Atomic<Bool>(false)
  /// The tokens of stray grants and of refused releases that are being given back.
  let givingBack = Locked<Set<String>>([])
  /// How many clean-ups wait for their next attempt.
  let pendingCleanUps = Atomic<Int>(0)
  private let stopConnection: @Sendable () -> Void
  private let endConnection: @Sendable () -> Promise<Void>
  /// Whether it is one slot of a cluster, which several servers may have in the course of time.
  let isInCluster: Bool
  /// Numbers for scripts in pipelines.
  let questions = Atomic<UInt32>(0)
  private let hasBeenExamined = Atomic<Bool>(false)

  /// Creates a node for one server.
  ///
  /// `judgesCluster` is called if that is a node of a cluster, and tells why it must not be used as if it were alone.
  init(
    _ configuration: LockerConfiguration, tokens: TokenSource, on machine: any Machine,
    reporter: Reporter, serverRun: KnownServerRun? = nil,
    judgesCluster: (@Sendable () -> TransportError?)? = nil
  ) throws(StoreFailure) {
    let fences = FenceCounter()
    let names = ServerKeys(prefix: configuration.keyPrefix)
    let isFencing = configuration.isFencingEnabled
    let isAcknowledged = configuration.replicaAcknowledgements > 0
    let primary = KnownPrimary()
    let opened = Locked(WeakNode())
    let scriptCount = isFencing ? 1 : 0
    let connectHook = Handshake.ConnectHook(
      commands: {
        let questions = isAcknowledged ? PrimaryRun.commands : serverRun?.commands ?? []
        guard isFencing else { return questions }
        fences.connectionChanged()
        // A node of a cluster must not get a counter under this name before its answer tells that it is one.
        let command = Self.raiseCommand(names, above: fences.largest, keys: [names.elsewhere])
        return [command.bySource] + questions
      },
      received: { replies in
        if isAcknowledged {
          primary.current = PrimaryRun(replies.dropFirst(scriptCount))
        }
        serverRun?.note(replies.dropFirst(scriptCount))
        let node = opened.withLock { $0.node }
        let replies = replies.prefix(scriptCount)
        defer { node?.serverMayHaveChanged(replies.first?.error) }
        // If the server cannot raise the counter now, the first lock has to do it.
        guard let reply = replies.first, reply.error == nil else { return true }
        guard let number = reply.fencingToken else { return false }
        _ = fences.accept(number, isRaised: true)
        return true
      }, scriptCount: scriptCount, judgesCluster: judgesCluster)
    let sentinels = SentinelDirectory(configuration, on: machine, reporter: reporter)
    let connection: Connection
    do {
      connection = try Connection(
        configuration, connectHook: connectHook, over: sentinels?.makeOpener(.requests),
        reporter: reporter, on: machine)
      acknowledger =
        isAcknowledged
        ? try Acknowledger(
          configuration, names: names, via: sentinels,
          servers: .init(
            inUse: { try? primary.current?.identity.get() },
            reconnect: { [weak connection] in connection?.reconnect(because: $0) }),
          on: machine, reporter: reporter) : nil
    } catch {
      throw StoreFailure(error)
    }
    let lifetime = configuration.operationTimeout
    let channel = names.inbox(of: tokens.lockerID)
    grantChannel = GrantChannel(
      configuration, channel: channel, via: sentinels, on: machine, reporter: reporter,
      loginGate: connection.loginGate
    ) {
      completion in
      Self.locate(
        channel, by: "NUMSUB", on: connection, within: lifetime, completion: completion)
    } giveBack: { message in
      opened.withLock { $0.node }?.giveBack(message)
    }
    self.connection = connection
    isInCluster = false
    self.serverRun = serverRun
    endConnection = {
      connection.close(); return connection.ended
    }
    stopConnection = { connection.stop() }
    self.sentinels = sentinels
    self.primary = primary
    queueAccess = QueueAccess(clock: connection.clock)
    self.fences = fences
    self.names = names
    self.tokens = tokens
    self.reporter = reporter
    self.isFencing = isFencing
    operationTimeout = lifetime
    opened.withLock { $0.node = self }
    sentinels?.onChange { [weak self] reason in
      self?.connection.reconnect(because: reason)
      self?.grantChannel.reconnect(because: reason)
      self?.acknowledger?.reconnect(because: reason)
    }
  }

  /// Creates a node for a slot of a cluster.
  init(
    _ configuration: LockerConfiguration, slot: Int, of cluster: ClusterConnection,
    tokens: TokenSource
  ) {
    let names = ServerKeys(prefix: configuration.keyPrefix, slot: slot)
    let wire = SlotWire(to: slot, of: cluster)
    let channel = names.inbox(of: tokens.lockerID)
    let lifetime = configuration.operationTimeout
    let opened = Locked(WeakNode())
    grantChannel = GrantChannel(clock: cluster.clock, reporter: cluster.reporter) {
      isWaitedFor, handler in
      SlotSubscription(
        to: channel, in: slot, of: cluster, isWaitedFor: isWaitedFor, handler: handler)
    } locate: { completion in
      Self.locate(
        channel, by: "SHARDNUMSUB", on: wire, within: lifetime, completion: completion)
    } giveBack: { message in
      opened.withLock { $0.node }?.giveBack(message)
    }
    connection = wire
    isInCluster = true
    serverRun = nil
    stopConnection = {}
    endConnection = { Promise<Void>() }
    sentinels = nil
    acknowledger = nil
    primary = KnownPrimary()
    queueAccess = QueueAccess(clock: cluster.clock)
    fences = FenceCounter()
    self.names = names
    self.tokens = tokens
    reporter = cluster.reporter
    isFencing = configuration.isFencingEnabled
    operationTimeout = lifetime
    opened.withLock { $0.node = self }
  }

  /// Gives back a grant that has no listener any more.
  ///
  /// Once, however often it comes: a hostile server may send it faster than it answers.
  private func giveBack(_ message: GrantMessage) {
    let claim = Claim(
      keys: message.keys, token: message.token, ttl: Self.patienceWithStrayGrants)
    giveBackOnce(message.token) { ended in
      cleanUp(claim, until: clock.now + claim.ttl, mayHaveWaited: true, ended: ended)
    }
  }

  /// How long a grant without a listener is given back again and again, if the server cannot do that.
  ///
  /// Its ttl is not known; that of most locks is shorter.
  private static let patienceWithStrayGrants = Duration.seconds(60)

  /// Breaks the reference cycle of the node and its connection, whose logins the node has to know about.
  private struct WeakNode {
    weak var node: RedisNode?
  }

  /// Forgets after a login what the server has refused: it may be another server, and the error may have been the
  /// answer to another request.
  ///
  /// `refusal` is its answer to the login's own script, if that is an error.
  func serverMayHaveChanged(_ refusal: ServerError? = nil) {
    refusesScripts.store(refusal?.isAboutScripts == true, ordering: .relaxed)
    // Until a release has shown that waiters are notified, tokens go on saying that they are not.
    queueAccess.permit()
    grantChannel.verify()
  }

  var clock: LockClock { connection.clock }

  /// How long an answer that counts takes at present.
  var roundTrip: Duration { connection.roundTrip + (acknowledger?.duration ?? .zero) }

  /// Fails what waits, except what gives back and cleans up.
  func stop() {
    // First, so that what it gives up is given back.
    acknowledger?.close()
    stopConnection()
  }

  @discardableResult
  func close() -> Promise<Void> {
    acknowledger?.close()
    grantChannel.close()
    sentinels?.close()
    return endConnection()
  }

  // MARK: Notices

  /// Whether a notice of a grant of some keys that is made now would arrive.
  func isTold(of keys: [String]) -> Bool { queueAccess.isOpen(for: keys) && grantChannel.isReady }

  /// Makes a token for some keys, which says whether waiters for them are notified.
  func makeToken(for keys: [String], label: String?) -> String {
    tokens.next(label: label, isSilent: queueAccess.mayRefuse(keys))
  }

  /// Notes that scripts must do without the queues, because the server has refused what those of `keys` need.
  ///
  /// An error that names no key is about all queues.
  func doWithoutQueues(of keys: [String], because error: ServerError) {
    reporter.willPoll(because: error.message)
    let isAboutKeys = StoreFailure(error).isAboutKeys
    if queueAccess.refuse(isAboutKeys ? keys : nil), !isAboutKeys { tokens.noteNotifying(false) }
  }

  /// The part of a request that the server has refused.
  enum Refused { case queues, other, unknown }

  /// Finds out whether an error means that scripts must do without the queues; if so, notes that.
  ///
  /// An error about a key may be about the lock's own. Only if a script may have that alone are the queues at fault:
  /// one forbidden key must not keep the locker from waiting for others.
  func examine(
    _ error: ServerError?, about keys: [String], queued: Bool, by deadline: Instant,
    completion: @escaping @Sendable (Refused) -> Void
  ) {
    noteRefusal(error)
    guard let error, error.code == .noPerm else { return completion(.other) }
    let isAboutKeys = StoreFailure(error).isAboutKeys
    // If scripts without queues are refused as well, the queues are not at fault. Waiters count on a notice once the
    // rights are mended.
    guard queued, !error.isAboutScripts else {
      if !isAboutKeys { queueAccess.permit() }
      return completion(.other)
    }
    guard isAboutKeys else {
      doWithoutQueues(of: keys, because: error)
      return completion(.queues)
    }
    // For a script, a user needs the right to read and to write its keys; this one changes none.
    let command = Script.keep.command(keys: keys, arguments: [tokens.next(), "1"])
    connection.submit(
      Request([command], deadline: deadline, kind: .release) { [self] result in
        guard case .success(let answer) = result else { return completion(.unknown) }
        switch answer.replies[0].error {
        case nil:
          doWithoutQueues(of: keys, because: error)
          completion(.queues)
        case let refusal?: completion(refusal.code == .noPerm ? .other : .unknown)
        }
      })
  }

  /// Notes that the server refuses to run scripts, if an error says so.
  func noteRefusal(_ error: ServerError?) {
    if error?.isAboutScripts == true { refusesScripts.store(true, ordering: .relaxed) }
  }

  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void
  ) {
    guard queueAccess.isOpen(for: keys) else { return completion(false) }
    grantChannel.open(while: isWanted, completion: completion)
  }

  func listen(for token: String, _ listener: @escaping @Sendable (Notice) -> Void) {
    let isBelieved = acknowledger == nil
    grantChannel.listen(for: token) { [fences] notice in
      guard case .granted(let numbers) = notice else { return listener(notice) }
      fences.noteGranted(numbers.upperBound - 1)
      // Replicas may not have it: the poll finds the keys, and waits for them.
      listener(isBelieved ? notice : .mayHaveMissed)
    }
  }

  /// Asks the connection's server whether a channel has a listener there.
  private static func locate(
    _ channel: String, by count: String, on connection: any Wire, within patience: Duration,
    completion: @escaping @Sendable (GrantChannel.Whereabouts) -> Void
  ) {
    let command = Command("PUBSUB", count, channel)
    connection.submit(
      Request([command], deadline: connection.clock.now + patience) { result in
        switch result.map({ $0.replies[0] }) {
        // A locker that is being closed needs no channel.
        case .failure(let failure) where failure == .closed: break
        // Not asked again at once: a refused login fails without any wait.
        case .failure: connection.afterPause(StoreFailure.transientPause) { completion(.unknown) }
        case .success(.error(let error)) where error.remedy == .fail:
          completion(.refused(error.message))
        case .success(.error):
          connection.afterPause(StoreFailure.transientPause) { completion(.unknown) }
        case .success(.array(let fields)) where fields == [.string(channel), .integer(0)]:
          completion(.elsewhere)
        case .success(.array(let fields)) where fields.count == 2 && fields[0] == .string(channel):
          completion(.here)
        case .success:
          connection.distrust()
          connection.afterPause(StoreFailure.transientPause) { completion(.unknown) }
        }
      })
  }

  // MARK: Examining the server

  /// Checks once, without waiting, whether the server may drop locks; this requires the `INFO` permission.
  func examineServer() {
    guard !hasBeenExamined.exchange(true, ordering: .relaxed) else { return }
    reporter.whenWarningsAreRead { [connection, reporter] in
      connection.submit(
        Request([Command("INFO", "memory")], deadline: connection.clock.now + .seconds(1)) {
          result in
          guard case .success(let answer) = result, case .string(let text) = answer.replies[0],
            let memory = MemoryPolicy(text), memory.mayDropLocks
          else { return }
          reporter.mayEvict(policy: memory.policy)
        })
    }
  }

  // MARK: Asking and awaiting

  /// Sends commands and waits for the result of `read`, which interprets the replies.
  ///
  /// `read` runs on the connection's queue and in the order of the replies. Cancelling the task gives the request
  /// up. With `claim`, any result but a success of `read` undoes the claim.
  func perform<Value: Sendable>(
    _ commands: [Command], by deadline: Instant, undoing claim: Claim? = nil,
    read: @escaping @Sendable (Request.Answer) -> Result<Value, StoreFailure>
  ) async -> Result<Value, StoreFailure> {
    let promise = Promise<Result<Value, StoreFailure>>()
    var undo: Request.Undo?
    if let claim { undo = { [self] in cleanUp(claim, undoing: $0) } }
    let request = Request(
      commands, deadline: deadline, isAwaited: true, undo: undo, isClaim: claim != nil
    ) { [self] result in promise.fulfil(judge(result, undoing: claim, read: read)) }
    return await outcome(of: request, in: promise)
  }

  /// Sends a request and waits for the promise that its completion keeps; cancelling the task gives the request
  /// up.
  func outcome<Call: Promising>(of request: Request, in call: Call) async -> Call.Value {
    await withTaskCancellationHandler {
      connection.submitFromTask(request)
      return await call.value
    } onCancel: {
      connection.abandon(request)
    }
  }

  /// Returns the result of `read` for an answer; anything but a success undoes a claim.
  func judge<Value>(
    _ result: Result<Request.Answer, TransportError>, undoing claim: Claim?,
    in undos: UndoRecord? = nil,
    read: (Request.Answer) -> Result<Value, StoreFailure>
  ) -> Result<Value, StoreFailure> {
    switch result {
    case .failure(let failure): return .failure(StoreFailure(failure))
    case .success(let answer):
      let value = read(answer)
      guard case .failure(let failure) = value else { return value }
      if case .unintelligible = failure { connection.distrust() }
      // If the server was unable to execute the first command just then, it has done nothing, unless the error
      // belongs to another request. The connection finds that out, and undoes the claim. A script that failed for
      // good may have been executed in part.
      let refusal = answer.replies.first?.error
      let hasDoneNothing = refusal.map { $0.remedy != .fail } ?? false
      if let claim, !hasDoneNothing {
        connection.submit(cleanUp(claim, wasRefused: refusal != nil, pending: undos?.begin()))
      }
      return value
    }
  }
}
