internal import Dispatch

/// The worker of a ``Connection``: runs on its queue, and alone touches the socket.
struct ConnectionDriver: ~Copyable {
  private enum Link {
    /// Not connected; a connection may be tried from this instant on.
    case down(until: Instant)
    /// A socket is being opened elsewhere.
    case opening
    /// Connected; the replies to the login are due by the deadline.
    case loggingIn(replies: [Reply], expected: Int, deadline: Instant)
    case ready
  }

  private let login: Login
  private let connectTimeout: Duration
  private var context: HiredisContext?
  private var link: Link
  private var backlog = Backlog()
  private var pipeline: Pipeline
  private var backoff = Backoff()
  private var generator = SystemRandomNumberGenerator()
  /// Why there is no connection, for those who have waited for one in vain.
  private var lastFailure = TransportError.timedOut
  /// The server is the wrong one: reconnect when all replies are in.
  private var mustReconnect = false

  init(_ configuration: LockerConfiguration, login: Login) {
    self.login = login
    connectTimeout = configuration.connectTimeout
    link = .down(until: .now)
    pipeline = Pipeline(longestSilence: configuration.operationTimeout)
  }

  /// Works until nothing is due.
  mutating func run(on connection: Connection) {
    while true {
      let mail = connection.takeMail()
      backlog.append(contentsOf: mail.requests)
      if mail.isClosed {
        shutDown(on: connection, opened: mail.opened)
        if connection.stopWorking() { return }
        continue
      }
      let now = ContinuousClock.now
      do throws(TransportError) {
        if let opened = mail.opened { try adopt(opened, at: now) }
        failOverdue(at: now, on: connection)
        try advance(at: now, on: connection)
        if isIdle, connection.stopWorking() { return }
        try exchange(on: connection)
      } catch {
        disconnect(because: error, on: connection)
      }
    }
  }

  /// Whether there is nothing to wait for on this thread.
  private var isIdle: Bool {
    guard backlog.isEmpty, pipeline.isEmpty else { return false }
    if case .loggingIn = link { return false }
    return true
  }

  // MARK: Connecting

  /// Does what the state of the link allows now: connect, give up connecting, or send.
  private mutating func advance(at now: Instant, on connection: Connection) throws(TransportError) {
    switch link {
    case .down(let earliest):
      guard !backlog.isEmpty, earliest <= now else { return }
      link = .opening
      connection.open(by: now + connectTimeout)
    case .opening:
      break
    case .loggingIn(_, _, let deadline):
      if deadline <= now { throw .unreachable("the server did not answer the login") }
    case .ready:
      try send(at: now, on: connection)
    }
  }

  /// Takes over a socket that was opened elsewhere and sends the login.
  private mutating func adopt(
    _ opened: Result<CInt, TransportError>, at now: Instant
  ) throws(TransportError) {
    context = try HiredisContext(adopting: FileDescriptor(adopting: opened.get()))
    let commands = login.commands()
    for command in commands { try context?.append(command) }
    link = .loggingIn(replies: [], expected: commands.count, deadline: now + connectTimeout)
    try context?.write()
  }

  private mutating func acceptLogin(_ reply: Reply) throws(TransportError) {
    guard case .loggingIn(var replies, let expected, let deadline) = link else { return }
    replies.append(reply)
    // A full server sends its error unasked and hangs up, so the other replies never come.
    if reply.error?.code == .maxClients || replies.count == expected {
      try login.check(replies)
      link = .ready
    } else {
      link = .loggingIn(replies: replies, expected: expected, deadline: deadline)
    }
  }

  // MARK: Sending and receiving

  private mutating func send(at now: Instant, on connection: Connection) throws(TransportError) {
    guard !backlog.isEmpty else { return }
    if pipeline.isEmpty {
      // What the server said or did while nobody listened must not pass for an answer.
      guard !mustReconnect, let socket = context?.fileDescriptor, SocketReadiness.isIdle(socket)
      else {
        throw .connectionLost("the idle connection was closed")
      }
    } else if mustReconnect {
      return
    }
    while let request = backlog.popFirst() {
      guard request.beginSending() else { continue }
      guard request.commandCount > 0 else {
        request.succeed(Request.Answer(replies: [], sentAt: now))
        continue
      }
      pipeline.append(request, sentAt: now)
      for command in request.commandsToSend { try context?.append(command) }
    }
    if context?.hasUnsentBytes == true { try context?.write() }
  }

  /// Waits for the socket and the mailbox, writes what is left to write and reads what is there.
  private mutating func exchange(on connection: Connection) throws(TransportError) {
    var readiness: SocketReadiness?
    if let socket = context?.fileDescriptor {
      readiness = SocketReadiness(
        socket: socket, wantsToWrite: context?.hasUnsentBytes == true)
    }
    connection.wait(for: &readiness, until: nextEvent)
    guard let readiness else { return }
    if readiness.canWrite { try context?.write() }
    if readiness.canRead { try receive(on: connection) }
    if pipeline.isSilent(at: .now) { throw .timedOut }
  }

  private mutating func receive(on connection: Connection) throws(TransportError) {
    var mayHaveMore = true
    while mayHaveMore {
      mayHaveMore = try context?.read() ?? false
      let now = ContinuousClock.now
      pipeline.heard(at: now)
      var slowest: Duration?
      while let reply = try context?.nextReply() {
        guard case .ready = link else {
          try acceptLogin(reply)
          continue
        }
        if reply.error?.remedy == .reconnect { mustReconnect = true }
        guard let answered = try pipeline.accept(reply) else { continue }
        slowest = slowest ?? answered.answer.sentAt.duration(to: now)
        if answered.answer.isMissingScript, answered.request.beginRepeatingBySource() {
          backlog.append(contentsOf: [answered.request])
        } else {
          answered.request.succeed(answered.answer)
        }
      }
      if let slowest {
        backoff.reset()
        connection.noteRoundTrip(slowest)
      }
    }
    if case .ready = link, pipeline.isEmpty, context?.hasUnparsedBytes == true {
      throw .protocolViolation("bytes that nobody asked for")
    }
  }

  /// When something has to be done even if nothing arrives.
  private var nextEvent: Instant? {
    var events = [backlog.nextDeadline, pipeline.nextEvent]
    switch link {
    case .down(let earliest): if !backlog.isEmpty { events.append(earliest) }
    case .loggingIn(_, _, let deadline): events.append(deadline)
    case .opening, .ready: break
    }
    return events.lazy.compactMap { $0 }.min()
  }

  // MARK: Giving up

  private mutating func failOverdue(at now: Instant, on connection: Connection) {
    for request in pipeline.overdue(at: now) { request.fail(.timedOut) { connection.submit($0) } }
    let isReady = if case .ready = link { true } else { false }
    for request in backlog.removeOverdue(at: now) {
      request.fail(isReady ? .timedOut : lastFailure) { connection.submit($0) }
    }
  }

  /// Closes the connection; what is unanswered fails, or waits for the next connection.
  private mutating func disconnect(because cause: TransportError, on connection: Connection) {
    let unanswered = pipeline.removeAll()
    takeBack(unanswered)
    context = nil
    mustReconnect = false
    lastFailure = cause
    link = .down(until: .now + backoff.pause(using: &generator))
    let repeated = unanswered.filter { $0.isRepeatable && $0.beginRepeating() }
    backlog.prepend(contentsOf: repeated)
    for request in unanswered where !request.isRepeatable {
      request.fail(cause) { connection.submit($0) }
    }
    if case .refused = cause {
      // Waiting would not help. What only cleans up keeps trying while it makes sense.
      for request in backlog.removeAll(where: { !$0.isRepeatable }) {
        request.fail(cause) { connection.submit($0) }
      }
    }
  }

  /// Sends what takes the unanswered requests back behind them, on the same socket: sent on another
  /// connection it may be executed before them, and leave a lock that nobody holds.
  private mutating func takeBack(_ unanswered: [Request]) {
    let undos = unanswered.compactMap { $0.undo?() }
    guard !undos.isEmpty else { return }
    // A socket that is broken already takes nothing, and needs no more than the attempt.
    do throws(TransportError) {
      for command in undos.lazy.flatMap(\.commandsBySource) { try context?.append(command) }
      try context?.write()
    } catch {}
  }

  private mutating func shutDown(on connection: Connection, opened: Result<CInt, TransportError>?) {
    if case .success(let socket)? = opened { _ = FileDescriptor(adopting: socket) }
    let unanswered = pipeline.removeAll()
    takeBack(unanswered)
    context = nil
    link = .down(until: .now)
    for request in unanswered + backlog.removeAll(where: { _ in true }) {
      request.fail(.closed) { _ in }
    }
  }
}
