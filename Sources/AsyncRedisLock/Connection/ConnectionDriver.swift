internal import DequeModule

/// The worker of a ``Connection``, which runs on its queue, or for a moment on a caller's thread.
///
/// Only the driver touches the stream.
struct ConnectionDriver: ~Copyable {
  /// The login of the present stream.
  private var handshake: Handshake
  /// Whether the next refusal of a login may come from credentials that have changed just then.
  var secondLogin: SecondLogin
  var stream: CommandStream?
  var state: ConnectionState
  var pending = PendingRequests()
  var inFlight: InFlightRequests
  private var questionCount: UInt32 = 0
  /// Requests whose answers have not been handed out.
  var answered: Deque<InFlightRequests.Answered> = []
  private var callerRuns = CallerRunsPolicy()
  var backoff = Backoff()
  var generator: Randomness
  /// Why there is no connection, for callers that have waited for one in vain.
  var lastFailure = TransportError.unreachable("the connection was not made in time")
  /// The refusal that shows that this connection leads to a replica.
  var demotion: ServerError?
  private let longestDrain: Duration
  private(set) var ending = ConnectionEnding.open
  /// Memory for requests that are taken out of the submissions.
  private var taken: [Request] = []
  /// The watch that waits for the server in place of this thread; nil while a thread works.
  private var silenceWatch: SilenceWatch?

  init(
    _ configuration: LockerConfiguration, at now: Instant, randomness: Randomness
  ) {
    handshake = Handshake(configuration, connectHook: nil)
    secondLogin = SecondLogin(isPossible: configuration.credentials != nil)
    generator = randomness
    state = ConnectionState(from: now, connectTimeout: configuration.connectTimeout)
    inFlight = InFlightRequests(operationTimeout: configuration.operationTimeout)
    longestDrain = configuration.operationTimeout
  }

  /// How much is encoded before it is written and replies are read: enough to make a batch, and not so much that
  /// the server waits for it.
  private static let batchSize = 256 * 1024

  /// How long a thread waits for a silent server: longer than most servers need, and a small part of the shortest
  /// ttl in use.
  private static let longestThreadWait = Duration.milliseconds(20)

  /// How long a caller may serve itself: several times what a server on the same machine needs.
  private static let longestCallerRun = Duration.microseconds(100)

  /// Works until nothing is due, or nothing happens for a while.
  mutating func run(on connection: Connection) { _ = work(on: connection, until: nil) }

  /// Works on a caller's thread, if that is likely to be quick; returns false if the queue has to go on with it.
  mutating func runBriefly(on connection: Connection) -> Bool {
    guard state.isReady, hasNothingToDo, ending == .open, callerRuns.allowsCallerRun() else {
      return false
    }
    return work(on: connection, until: connection.clock.now + Self.longestCallerRun)
  }

  /// Works until nothing is due or a watch waits for it, or until a caller has worked long enough.
  ///
  /// Returns whether no thread has to go on now.
  private mutating func work(on connection: Connection, until callerRunEnd: Instant?) -> Bool {
    silenceWatch?.cancel()
    silenceWatch = nil
    while true {
      let submitted = takeSubmissions(of: connection)
      let now = connection.clock.now
      if submitted.openness == .closed {
        for request in pending.removeAll(where: { _ in true }) { request.fail(.closed) { _ in } }
        if connection.stopWorking() { return true }
        continue
      }
      if ending.reduce(to: submitted.openness, at: now, drainingFor: longestDrain) {
        refuse(on: connection)
      }
      do throws(TransportError) {
        if let reason = submitted.abandonment, !state.isDown { throw .unreachable(reason) }
        if let opened = submitted.opened, state.awaits(opened.attempt) {
          try adopt(opened.stream, at: now)
        }
        failOverdue(at: now, on: connection)
        if ending.isDue(at: now, isDone: hasNothingToDo && !submitted.hasPauses) {
          shutDown(on: connection)
          continue
        }
        try advance(at: now, on: connection)
        if isIdle {
          if callerRuns.isLonely ? connection.stopWorking() : connection.rest() { return true }
          continue
        }
        if let callerRunEnd {
          guard state.isReady, try receive(on: connection, by: callerRunEnd) else {
            callerRuns.wasTooSlow()
            return false
          }
          callerRuns.wasQuick()
        } else if try !exchange(on: connection), leaveToWatch(on: connection) {
          return true
        }
      } catch {
        disconnect(because: causeOfLoss(error), on: connection)
        if callerRunEnd != nil { return false }
      }
    }
  }

  /// Moves submitted requests to the pending ones.
  mutating func takeSubmissions(of connection: Connection) -> SubmissionQueue.Contents {
    let contents = connection.takeSubmissions(&taken)
    pending.append(contentsOf: taken)
    taken.removeAll(keepingCapacity: true)
    return contents
  }

  private var hasNothingToDo: Bool { pending.isEmpty && inFlight.isEmpty }

  /// Whether this thread has nothing to wait for.
  private var isIdle: Bool { hasNothingToDo && !state.isLoggingIn && ending.deadline == nil }

  // MARK: Connecting

  /// Does what the state allows now: connect, give up connecting, or send.
  private mutating func advance(at now: Instant, on connection: Connection) throws(TransportError) {
    if state.isDown { failRefused(at: now, on: connection) }
    if state.phase == .outdated, inFlight.isInDoubt { return try dispelDoubt(at: now) }
    switch state.advance(at: now, hasPending: !pending.isEmpty, hasInFlight: !inFlight.isEmpty) {
    case .wait: break
    case .open(let attempt, let deadline):
      // The second login belongs to the first, which the gate has let through.
      switch secondLogin.isDue ? .go : connection.loginGate.admit(at: now) {
      case .go: connection.open(by: deadline, attempt: attempt)
      // An extension may bring the login forward meanwhile.
      case .wait(let instant, _): state.lost(until: min(instant, now + LoginGate.shortestInterval))
      }
    case .send: try send(at: now)
    case .giveUp(let cause): throw cause
    }
  }

  /// Takes over a stream that was opened elsewhere, and sends the handshake.
  private mutating func adopt(
    _ opened: Result<LoginOpener.Opened, TransportError>, at now: Instant
  ) throws(TransportError) {
    let opened = try opened.get()
    handshake = opened.handshake
    stream = try CommandStream(
      on: opened.stream, mayRepeatPassword: opened.handshake.mayRepeatPassword)
    let commands = handshake.commands()
    for command in commands { stream?.append(command) }
    state.logIn(expecting: commands.count, at: now)
    try stream?.write()
  }

  private mutating func acceptLogin(
    _ reply: Reply, on connection: Connection
  ) throws(TransportError) {
    guard case .check(let replies) = state.acceptLogin(reply) else { return }
    try handshake.check(replies)
    state.loggedIn()
    secondLogin.loggedIn()
    connection.loginGate.forget()
    connection.reportLogin()
  }

  /// The cause of the connection's end.
  ///
  /// If a server hangs up during the login, an earlier reply tells why, if there was one.
  private func causeOfLoss(_ error: TransportError) -> TransportError {
    guard case .connectionLost(let reason) = error, state.isLoggingIn else { return error }
    if let last = state.loginError { return handshake.judge(last) }
    return .connectionLost(
      "\(reason) during the login; is this a TLS port, or a proxy that does not know HELLO?")
  }

  // MARK: Sending and receiving

  private mutating func send(at now: Instant) throws(TransportError) {
    defer { inFlight.note(pending: pending.kinds) }
    // If bytes are left to write, the stream is asked first whether it takes them.
    guard !pending.isEmpty, stream?.hasUnsentBytes == false else { return }
    if inFlight.isEmpty {
      // Anything that the server sent or did while no thread listened must not pass for an answer.
      guard stream?.isIdle == true else {
        let amount: CommandStream.Amount?
        do throws(TransportError) {
          amount = try stream?.read()
        } catch .protocolViolation(let text) {
          throw .protocolViolation(text)
        } catch {
          amount = nil
        }
        throw amount == .all || amount == .maybeNotAll
          ? .protocolViolation("unexpected bytes")
          : .connectionLost("the idle connection was closed")
      }
    }
    let isBusy = !inFlight.isEmpty
    var count = 0
    while let size = stream?.unsentCount, size < Self.batchSize,
      let request = pending.popFirst(
        of: inFlight.sendable, beside: inFlight.crowd(at: now))
    {
      if encode(request, behind: size, at: now) { count += 1 }
    }
    if count > 0 { callerRuns.sent(count, toBusyServer: isBusy) }
    if stream?.hasUnsentBytes == true { try stream?.write() }
  }

  /// Encodes a request behind so many bytes that are not sent yet; returns false if there is nothing to send.
  private mutating func encode(_ request: Request, behind size: Int, at now: Instant) -> Bool {
    guard request.beginSending() else { return false }
    questionCount &+= 1
    let question = questionCount
    let encoded = stream?.append { request.encode(into: &$0, question: question) }
    let byteCount = (stream?.unsentCount ?? size) - size
    switch encoded {
    case .nothing, nil:
      request.succeed(Request.Answer(replies: [], sentAt: now))
      return false
    case .commands: inFlight.append(request, sentAt: now, byteCount: byteCount)
    case .script: inFlight.append(request, sentAt: now, byteCount: byteCount, question: question)
    }
    return true
  }

  /// Asks a server that is to be left for a number, which shows that each refusal was its request's own.
  ///
  /// Otherwise each refused claim would be undone, again and again: a read-only replica refuses that as well.
  private mutating func dispelDoubt(at now: Instant) throws(TransportError) {
    inFlight.noteInquiry()
    let inquiry = Request([Self.inquiry], deadline: now + longestDrain) { _ in }
    if encode(inquiry, behind: stream?.unsentCount ?? 0, at: now) { try stream?.write() }
  }

  /// A script that calls no command, so that a read-only replica runs it.
  private static let inquiry: Command = {
    let source = "return tonumber(ARGV[1])"
    return Command(["EVAL", source, "0"], scriptSource: source)
  }()

  /// Waits for the stream alone, and reads the available bytes; returns false if nothing comes by a deadline.
  private mutating func receive(
    on connection: Connection, by deadline: Instant
  ) throws(TransportError) -> Bool {
    guard stream?.hasUnsentBytes == false else { return false }
    // If both share a processor, the server has answered before the write returned.
    if try receive(on: connection) { return true }
    let left = connection.clock.now.duration(to: deadline)
    guard left > .zero, let source = stream?.stream,
      connection.poller.canRead(source, within: Int(left.wholeNanoseconds / 1000))
    else { return false }
    return try receive(on: connection)
  }

  /// Waits for the stream and the submissions, writes the remaining bytes, and reads the available ones.
  ///
  /// Returns false if nothing has happened for as long as a thread may wait.
  private mutating func exchange(on connection: Connection) throws(TransportError) -> Bool {
    // Opening a stream may take long; no thread waits for that.
    guard stream != nil else { return false }
    let hasMoreToSend = hasMoreToSend
    let hasUnsentBytes = stream?.hasUnsentBytes == true
    let now = connection.clock.now
    let longest = now + Self.longestThreadWait
    let readiness = connection.wait(
      for: stream?.stream, toWrite: hasUnsentBytes,
      until: hasMoreToSend ? now : min(nextEvent ?? longest, longest),
      gathers: state.isReady && !hasMoreToSend && !hasUnsentBytes)
    if readiness.canWrite { try stream?.write() }
    if readiness.canRead { try receive(on: connection) }
    if inFlight.isStuck(at: connection.clock.now) { throw .timedOut }
    return readiness.isWoken || readiness.canWrite || readiness.canRead || hasMoreToSend
  }

  /// Has a watch wait for the server in place of this thread.
  ///
  /// Returns false if there is other work first, or if the system has no file descriptor left for it.
  private mutating func leaveToWatch(on connection: Connection) -> Bool {
    let next = nextEvent
    guard stream?.hasUnsentBytes != true, next.map({ $0 > connection.clock.now }) ?? true,
      let watch = try? connection.watch(stream?.stream, until: next)
    else { return false }
    guard connection.stopWorking() else {
      watch.cancel()
      return false
    }
    silenceWatch = watch
    return true
  }

  /// Whether a further batch can be written at once.
  private var hasMoreToSend: Bool {
    mutating get {
      guard state.isReady, pending.hasNext(of: inFlight.sendable) else { return false }
      return stream?.hasUnsentBytes == false
    }
  }

  /// Reads the available replies and hands them out; returns false if there were none.
  @discardableResult
  private mutating func receive(on connection: Connection) throws(TransportError) -> Bool {
    connection.noteAnswering(inFlight.count > 1)
    defer { connection.noteAnswering(false) }
    var hasRead = false
    var amount = CommandStream.Amount.maybeNotAll
    while amount == .maybeNotAll {
      amount = try stream?.read() ?? .nothing
      if amount == .nothing { break }
      hasRead = true
      let now = connection.clock.now
      inFlight.heard(at: now)
      try parse(on: connection)
      if let oldest = answered.first?.answer.sentAt {
        // A read-only replica answers each request with the refusal that ends the connection.
        if state.isReady { backoff.reset() }
        connection.noteRoundTrip(oldest.duration(to: now))
        try handOut(on: connection)
      }
    }
    return hasRead
  }

  /// Matches arrived replies to their requests.
  ///
  /// None is handed out before all are checked: if a reply without a request is among them, the others may be for
  /// the wrong requests, too.
  private mutating func parse(on connection: Connection) throws(TransportError) {
    while let reply = try stream?.nextReply() {
      guard state.isLoggedIn else {
        try acceptLogin(reply, on: connection)
        continue
      }
      if let error = reply.error, error.remedy == .reconnect {
        state.isOutdated()
        if error.code != .noAuth { demotion = handshake.conceal(error) }
      }
      guard let next = try inFlight.accept(handshake.conceal(reply)) else { continue }
      let isViolation = next.answer.isMissingScript && next.request.hasSentSource
      answered.append(next)
      if isViolation { throw .protocolViolation("NOSCRIPT for a script sent in full") }
    }
    if state.isLoggedIn, inFlight.isEmpty, stream?.hasUnparsedBytes == true {
      throw .protocolViolation("unexpected bytes")
    }
  }

  private mutating func handOut(on connection: Connection) throws(TransportError) {
    while var next = answered.popFirst() {
      if next.answer.isMissingScript, next.request.beginRepeatingBySource() {
        pending.append(contentsOf: [next.request])
        continue
      }
      if let link = connection.link {
        next.note(source: link.source)
        if link.takesOver(next.request, next.answer) { continue }
      }
      next.request.succeed(next.takeAnswer())
      if connection.takeDistrust() { throw .protocolViolation("an answer of the wrong type") }
    }
  }

  /// When work is due even if nothing arrives.
  private var nextEvent: Instant? {
    [
      ending.deadline, pending.nextDeadline, inFlight.nextEvent,
      state.nextEvent(hasPending: !pending.isEmpty),
    ].lazy.compactMap(\.self).min()
  }
}
