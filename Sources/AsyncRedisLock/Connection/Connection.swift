internal import Synchronization

/// One connection to the server, shared by any number of tasks.
///
/// Requests gather in a submission queue. A serial queue takes all of them at once, writes them in one go, and
/// hands out the replies as they are parsed. While replies are due, the queue's block waits for the socket and for
/// new requests. When nothing is due, or the server is silent for long, the block returns, and no thread is held.
///
/// If a task's request is the only one, the task does the queue's work itself for a moment. Two changes of threads
/// take longer than a nearby server.
final class Connection: Sendable {
  private let queue: any WorkQueue
  /// The queue for work that is tried again after a pause.
  private let pauseQueue: any WorkQueue
  private let opener: LoginOpener
  private let submissions = Locked(SubmissionQueue())
  private let postponed = Locked(PostponedWork())
  private let operationTimeout: Duration
  let poller: any Poller
  let clock: LockClock
  /// Locked only by the party that works: the block on the queue, or a caller in its place.
  private let driver: Locked<ConnectionDriver>
  private let isAnswering = Atomic<Bool>(false)
  private let isDistrusted = Atomic<Bool>(false)
  private let violations = Atomic<Int>(0)
  private let smoothedRoundTrip = Atomic<Int64>(0)
  /// Nil for a connection whose state only its owner reports.
  private let reporter: Reporter?
  let loginGate = LoginGate()
  /// What this connection leaves to the cluster that its server is a node of; nil without a cluster.
  let link: ClusterLink?
  /// Kept when all work is done after ``close()``.
  let ended = Promise<Void>()

  /// Creates a connection that connects when there is a request to send.
  ///
  /// The opener finds the server; if nil, it is at the address of the configuration.
  init(
    _ configuration: LockerConfiguration, connectHook: Handshake.ConnectHook? = nil,
    over opener: (any StreamOpener)? = nil, isSentinel: Bool = false, link: ClusterLink? = nil,
    reporter: Reporter?,
    on machine: any Machine = HostMachine()
  ) throws(TransportError) {
    self.reporter = reporter
    self.link = link
    operationTimeout = configuration.operationTimeout
    clock = machine.clock
    queue = machine.makeQueue("connection", .extensions)
    pauseQueue = machine.makeQueue("pause", .extensions)
    self.opener = LoginOpener(
      configuration, over: opener ?? machine.makeOpener(for: configuration),
      connectHook: connectHook, isSentinel: isSentinel, on: machine)
    poller = try machine.makePoller()
    driver = Locked(
      ConnectionDriver(configuration, at: clock.now, randomness: machine.randomness))
  }

  /// How long the server takes to answer, averaged over the last replies; zero before the first.
  var roundTrip: Duration { .nanoseconds(smoothedRoundTrip.load(ordering: .relaxed)) }

  /// Sends a request after all that were submitted before.
  func submit(_ request: Request) { submit(request, servesItself: true) }

  /// Sends a request; a task does the connection's work only if it `servesItself`.
  ///
  /// It must not do that under the mutex of another connection's driver.
  func submit(_ request: Request, servesItself: Bool) {
    var refused: [Request] = []
    let notice = submissions.withLock { $0.add(CollectionOfOne(request), refused: &refused) }
    act(on: notice, isAwaited: request.isAwaited && servesItself)
    for request in refused { request.fail(.closed) { _ in } }
  }

  /// Gives the connection up because an answer made no sense: the next answer may belong to any request.
  ///
  /// Call it while the answer is handed out, before any caller gets the next.
  func distrust() { isDistrusted.store(true, ordering: .relaxed) }

  /// Gives the connection up, or the attempt to make one, because it leads to the wrong server by now.
  ///
  /// Requests under way are undone; the next request makes a new connection.
  func reconnect(because reason: String) {
    act(on: submissions.withLock { $0.abandonConnection(because: reason) })
  }

  /// How often the connection was given up because of the server's replies.
  ///
  /// A reply before that may have been the answer to another request.
  var violationCount: Int { violations.load(ordering: .relaxed) }

  /// Counts one in ``violationCount``.
  func noteViolation() { violations.add(1, ordering: .relaxed) }

  /// Runs an action when some time has passed, not on the cooperative pool.
  func afterPause(_ pause: Duration, _ body: @escaping @Sendable () -> Void) {
    pauseQueue.async(after: pause, body)
  }

  /// Runs an action that gives back when some time has passed, or sooner if the connection is being closed.
  ///
  /// The connection does not end before that, as far as ``close()`` waits at all. A closing connection tries a few
  /// such actions often, and all of them as soon as one has succeeded. The server may be well for a moment only, and
  /// must not be kept busy by what it cannot take.
  func giveBackLater(_ pause: Duration, _ body: @escaping @Sendable () -> Void) {
    submissions.withLock { $0.beginPause() }
    let due = clock.now + pause
    if postponed.withLock({ $0.add(body, due: due) }) { return tryPostponed() }
    afterPause(pause) { [self] in run(postponed.withLock { $0.takeDue(by: due) }) }
  }

  /// Notes that an attempt to give back has succeeded.
  func noteGivenBack() {
    let actions = postponed.withLock { $0.takeAllOnSuccess(at: clock.now) }
    if !actions.isEmpty { pauseQueue.async { [self] in run(actions) } }
  }

  /// Tries some of what has been postponed after a moment, and so on, while the connection is being closed.
  private func tryPostponed() {
    guard postponed.withLock({ $0.beginTrial() }) else { return }
    afterPause(PostponedWork.trialPause) { [self] in
      run(postponed.withLock { $0.takeTrial(at: clock.now) })
      tryPostponed()
    }
  }

  private func run(_ postponed: [PostponedWork.Action]) {
    for action in postponed {
      action()
      act(on: submissions.withLock { $0.endPause() })
    }
  }

  /// Ends a request whose caller has given up, and undoes what it may have done.
  func abandon(_ request: Request) { request.fail(.cancelled) { submit($0) } }

  /// Fails and refuses from now on all requests except those that give back and clean up.
  func stop() {
    act(on: submissions.withLock { $0.reduce(to: .stopped) })
    postponed.withLock { $0.close(by: clock.now + operationTimeout) }
    tryPostponed()
  }

  /// Does what ``stop()`` does, and disconnects when all submitted requests are done.
  ///
  /// The limit is the operation timeout, counted from the first of both calls.
  func close() {
    act(on: submissions.withLock { $0.reduce(to: .closing) })
    postponed.withLock { $0.close(by: clock.now + operationTimeout) }
    tryPostponed()
  }

  private func act(on notice: SubmissionQueue.WorkerCall, isAwaited: Bool = false) {
    switch notice {
    case .none:
      // Without company, the threads would take turns, with a wake-up for every single answer.
      if isAwaited, isAnswering.load(ordering: .relaxed) { poller.letOthersRun() }
    case .wake: poller.wake()
    case .start:
      if isAwaited, Self.mayServeItself, driver.withLock({ $0.runBriefly(on: self) }) { return }
      queue.async { self.driver.withLock { $0.run(on: self) } }
    }
  }

  /// Whether the caller may do the queue's work for a moment: true for a task, false for a timer or a thread of
  /// the program's own.
  private static var mayServeItself: Bool {
    #if canImport(Darwin)
      // A task of low priority must not keep extensions waiting for its turn.
      return false
    #else
      return unsafe withUnsafeCurrentTask { task in unsafe task != nil }
    #endif
  }
}

/// The services that the driver needs from its connection.
extension Connection {
  func takeSubmissions(_ requests: inout [Request]) -> SubmissionQueue.Contents {
    submissions.withLock { $0.take(&requests) }
  }

  func stopWorking() -> Bool { submissions.withLock { $0.stop() } }

  /// Waits a moment for the callers that were just answered to submit more; if none does, stops working and
  /// returns true.
  func rest() -> Bool {
    poller.letOthersRun()
    if submissions.withLock({ $0.beginWaiting() }) { poller.rest(for: 200) }
    return stopWorking()
  }

  /// Stops accepting requests; what has been postponed fails.
  func end() {
    _ = submissions.withLock { $0.reduce(to: .closed) }
    pauseQueue.async { [self] in run(postponed.withLock { $0.takeAll() }) }
  }

  /// Calls the driver again when the stream can be read, or at a deadline.
  func watch(
    _ stream: (any ByteStream)?, until deadline: Instant?
  ) throws(TransportError) -> SilenceWatch {
    let time = deadline.map { clock.now.duration(to: $0) }
    return try SilenceWatch(stream, for: time, on: queue) { [self] in
      if submissions.withLock({ $0.resume() }) { driver.withLock { $0.run(on: self) } }
    }
  }

  /// Waits until a request is submitted, the stream is ready, or the deadline passes; `isWoken` then tells whether
  /// a request may have been submitted.
  ///
  /// If there are requests to take first, it only looks: a caller that submits without pause must not stop the
  /// reading. While it gathers, no caller has to wake it for the first moment, in which a nearby server answers.
  func wait(
    for stream: (any ByteStream)?, toWrite: Bool, until deadline: Instant, gathers: Bool
  ) -> Readiness {
    if gathers, let stream, poller.canRead(stream, within: 100) { return Readiness(canRead: true) }
    let hasNothingNew = submissions.withLock { $0.beginWaiting() }
    var readiness = poller.wait(
      for: stream, toWrite: toWrite, until: hasNothingNew ? deadline : clock.now)
    if !hasNothingNew { readiness.isWoken = true }
    return readiness
  }

  /// Notes whether several callers are being answered; if so, the first to be answered should wait for the others.
  func noteAnswering(_ isAnswering: Bool) {
    self.isAnswering.store(isAnswering, ordering: .relaxed)
  }

  /// Whether the connection must be given up; read once.
  func takeDistrust() -> Bool { isDistrusted.exchange(false, ordering: .relaxed) }

  /// Opens a stream and puts the outcome into the submissions.
  func open(by deadline: Instant, attempt: Int) {
    opener.open(by: deadline) { [self] result in
      let opened = SubmissionQueue.Opened(attempt: attempt, stream: result)
      act(on: submissions.withLock { $0.add(opened) })
    }
  }

  /// Reports that the login has succeeded.
  func reportLogin() { if let link { link.loggedIn() } else { reporter?.connected() } }

  /// Reports that there is no connection any more, or that none could be made.
  func reportLoss(because cause: TransportError, isIdle: Bool) {
    if let link {
      link.lost(because: cause, isIdle: isIdle)
    } else if cause != .isCluster {
      reporter?.disconnected(because: cause, isIdle: isIdle)
    }
  }

  /// Abandons the stream that is being opened, for good.
  func cancelOpening() { opener.cancel() }

  /// Notes that the server has the wrong role.
  func noteWrongServer() { opener.noteWrongServer() }

  /// Notes how long an answer took.
  func noteRoundTrip(_ duration: Duration) {
    reporter?.noteRoundTrip(duration)
    let sample = duration.wholeNanoseconds
    let former = smoothedRoundTrip.load(ordering: .relaxed)
    // The weight that TCP gives a new sample (RFC 6298).
    let next = former == 0 ? sample : former + (sample - former) / 8
    smoothedRoundTrip.store(next, ordering: .relaxed)
  }
}
