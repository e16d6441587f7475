internal import DequeModule

/// Failing requests and ending a connection.
extension ConnectionDriver {
  mutating func failOverdue(at now: Instant, on connection: Connection) {
    if let deadline = inFlight.nextDeadline, deadline <= now {
      for request in inFlight.overdue(at: now) {
        request.fail(.timedOut) { connection.submit($0) }
      }
    }
    if let deadline = pending.nextDeadline, deadline <= now {
      var cause = state.isLoggedIn ? .timedOut : lastFailure
      // The login that is under way may succeed.
      if case .refused(let error) = cause, connection.loginGate.refusal(at: now)?.isRepeated != true
      {
        cause = .heldBack(error)
      }
      for request in pending.removeOverdue(at: now) {
        request.fail(cause) { connection.submit($0) }
      }
    }
  }

  /// Closes the connection; unanswered requests fail, or wait for the next connection.
  mutating func disconnect(because cause: TransportError, on connection: Connection) {
    let hasInquired = inFlight.hasInquired
    let doubtful = inFlight.removeDoubtful()
    let unanswered = removeUnanswered()
    takeBack(doubtful + unanswered, on: connection)
    connection.reportLoss(
      because: cause, isIdle: doubtful.isEmpty && unanswered.isEmpty && !hasInquired)
    if case .protocolViolation = cause { connection.noteViolation() }
    if case .notPrimary = cause { connection.noteWrongServer() }
    stream = nil
    // For a caller whose time is up before the next login, that is what the server has said.
    lastFailure = demotion.map { .heldBack($0) } ?? cause
    demotion = nil
    // The connection is made again only for a waiting request.
    state.lost(
      until: connection.clock.now + backoff.pause(isWaitedFor: true, using: &generator))
    let repeated = unanswered.filter { $0.givesBack && $0.returnToQueue() }
    pending.prepend(contentsOf: repeated)
    for request in doubtful { if let undo = request.makeUndo() { connection.submit(undo) } }
    for request in unanswered where !request.givesBack {
      request.fail(cause) { connection.submit($0) }
    }
    if secondLogin.begins(after: cause) {
      state.lost(until: connection.clock.now)
    } else if case .refused(let error) = cause {
      connection.loginGate.refused(error, at: connection.clock.now)
      fail(because: cause, on: connection)
    } else if case .noCredentials = cause {
      // The server was not asked, so its last refusal stands.
    } else {
      connection.loginGate.forget()
    }
    // No time that a caller has left would help.
    if case .tlsFailed = cause { fail(because: cause, on: connection) }
    if case .unknownPrimary = cause { fail(because: cause, on: connection) }
    if case .isCluster = cause { fail(because: cause, on: connection) }
    if let link = connection.link, !secondLogin.isDue, !pending.isEmpty {
      link.reroute(pending.removeAll { _ in true })
    }
  }

  /// Fails requests that come before a login may be tried again.
  ///
  /// A caller that has time may ask again, unless logins have been refused for so long that it is no use.
  mutating func failRefused(at now: Instant, on connection: Connection) {
    guard !pending.isEmpty, !secondLogin.isDue,
      let (error, isRepeated) = connection.loginGate.refusal(at: now)
    else {
      return
    }
    if let end = pending.earliestLeaseEnd {
      connection.loginGate.hurry(forLeaseUntil: end, at: now)
    }
    fail(because: isRepeated ? .refused(error) : .heldBack(error), on: connection)
  }

  /// Fails all requests that wait for a connection, except clean-ups, which keep trying while it makes sense.
  private mutating func fail(because cause: TransportError, on connection: Connection) {
    for request in pending.removeAll(where: { !$0.givesBack }) {
      request.fail(cause) { connection.submit($0) }
    }
  }

  /// Takes out all sent requests that have no answer that can be trusted.
  private mutating func removeUnanswered() -> [Request] {
    let unanswered = answered.map(\.request) + inFlight.removeAll()
    answered.removeAll()
    for request in unanswered { request.noteRepetition() }
    return unanswered
  }

  /// Undoes the unanswered requests by sending commands after them on the same stream.
  ///
  /// On another connection, the undo might be executed before them, and leave a lock without a holder.
  private mutating func takeBack(
    _ unanswered: [Request], on connection: Connection, isLast: Bool = false
  ) {
    // The request that was answered last may have to be undone as well.
    _ = takeSubmissions(of: connection)
    // A release with a caller is sent once more, unless there is no next connection.
    let waiting = pending.filter { isLast ? $0.givesBack : $0.kind == .cleanUp }
    var undos: [(undo: Request, isAsking: Bool)] = []
    // There may be no next connection, and the server may not know the scripts of these.
    var sentInVain: [Request] = []
    for request in unanswered {
      if let undo = request.makeUndo() {
        undos.append((undo, request.isAsking))
      } else if ending != .open, request.givesBack, !request.isFinished, !request.hasSentSource {
        sentInVain.append(request)
      }
    }
    guard !undos.isEmpty || !waiting.isEmpty || !sentInVain.isEmpty else { return }
    // Before the login is over, they might be executed for another user or in another database.
    guard stream != nil, state.isLoggedIn else { return }
    for request in waiting { request.noteRepetition() }
    // When the locker is being closed, a stopped server may execute no more than it reads at a time, since its answers
    // to a client that is gone end that. Otherwise each command brings its source. A server takes none with a command
    // that it refuses, which may be for a forbidden key, or in a cluster for one of another node.
    var commands = CommandBuffer(sharesSources: ending != .open && connection.link == nil)
    for (undo, isAsking) in undos { undo.encodeBySource(into: &commands, isAsking: isAsking) }
    for request in sentInVain + waiting { request.encodeBySource(into: &commands) }
    // A stream that is broken already takes nothing; the attempt is enough.
    try? stream?.writeFinally(commands)
  }

  /// Fails all requests except those that give back and clean up.
  mutating func refuse(on connection: Connection) {
    let refused =
      inFlight.requests.filter { !$0.givesBack } + pending.removeAll { !$0.givesBack }
    for request in refused { request.fail(.closed) { connection.submit($0) } }
  }

  /// Ends the connection for good.
  mutating func shutDown(on connection: Connection) {
    connection.end()
    connection.cancelOpening()
    let doubtful = inFlight.removeDoubtful()
    let unanswered = removeUnanswered()
    takeBack(doubtful + unanswered, on: connection, isLast: true)
    stream = nil
    state.lost(until: connection.clock.now)
    for request in unanswered + pending.removeAll(where: { _ in true }) {
      request.fail(.closed) { _ in }
    }
    connection.ended.fulfil(())
    connection.link?.ended()
  }
}
