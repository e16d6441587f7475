internal import DequeModule

/// How requests fail, and how a connection ends.
extension ConnectionDriver {
  mutating func failOverdue(at now: Instant, on connection: Connection) {
    for request in inFlight.overdue(at: now) { request.fail(.timedOut) { connection.submit($0) } }
    for request in pending.removeOverdue(at: now) {
      request.fail(state.isLoggedIn ? .timedOut : lastFailure) { connection.submit($0) }
    }
  }

  /// Closes the connection; what is unanswered fails, or waits for the next connection.
  mutating func disconnect(because cause: TransportError, on connection: Connection) {
    let doubtful = inFlight.removeDoubtful()
    let unanswered = removeUnanswered()
    takeBack(doubtful + unanswered, on: connection)
    connection.reporter.disconnected(
      because: cause, isIdle: doubtful.isEmpty && unanswered.isEmpty)
    stream = nil
    lastFailure = cause
    // It connects only for something that waits.
    state.lost(
      until: connection.clock.now + backoff.pause(isWaitedFor: true, using: &generator))
    let repeated = unanswered.filter { $0.givesBack && $0.returnToQueue() }
    pending.prepend(contentsOf: repeated)
    for request in doubtful { if let undo = request.makeUndo() { connection.submit(undo) } }
    for request in unanswered where !request.givesBack {
      request.fail(cause) { connection.submit($0) }
    }
    if case .refused(let error) = cause {
      connection.loginGate.refused(error, at: connection.clock.now)
      fail(because: cause, on: connection)
    }
  }

  /// Fails what comes before a login may be tried again: waiting would not help.
  mutating func failRefused(at now: Instant, on connection: Connection) {
    guard !pending.isEmpty, let error = connection.loginGate.refusal(at: now) else { return }
    fail(because: .refused(error), on: connection)
  }

  /// Fails all that waits for a connection, but for what only cleans up: that keeps trying while it makes sense.
  private mutating func fail(because cause: TransportError, on connection: Connection) {
    for request in pending.removeAll(where: { !$0.givesBack }) {
      request.fail(cause) { connection.submit($0) }
    }
  }

  /// Takes out all that was sent and has had no answer that can be trusted.
  private mutating func removeUnanswered() -> [Request] {
    let unanswered = answered.map(\.request) + inFlight.removeAll()
    answered.removeAll()
    for request in unanswered { request.noteRepetition() }
    return unanswered
  }

  /// Sends what takes the unanswered requests back behind them, on the same stream: sent on another
  /// connection it may be executed before them, and leave a lock that nobody holds.
  private mutating func takeBack(
    _ unanswered: [Request], on connection: Connection, isLast: Bool = false
  ) {
    // What was answered last may have to be taken back as well.
    _ = takeSubmissions(of: connection)
    // A release with a caller is sent once more, unless there is no next connection.
    let waiting = pending.filter { isLast ? $0.givesBack : $0.kind == .cleanUp }
    let undos = unanswered.compactMap { $0.makeUndo() } + waiting
    guard !undos.isEmpty else { return }
    for request in waiting { request.noteRepetition() }
    // A stream that is broken already takes nothing, and needs no more than the attempt.
    try? stream?.writeFinally(undos.flatMap(\.commandsBySource))
  }

  /// Fails everything but what gives back and cleans up.
  mutating func refuse(on connection: Connection) {
    let refused =
      inFlight.requests.filter { !$0.givesBack } + pending.removeAll { !$0.givesBack }
    for request in refused { request.fail(.closed) { connection.submit($0) } }
  }

  /// Ends for good.
  mutating func shutDown(on connection: Connection) {
    connection.end()
    let doubtful = inFlight.removeDoubtful()
    let unanswered = removeUnanswered()
    takeBack(doubtful + unanswered, on: connection, isLast: true)
    stream = nil
    state.lost(until: connection.clock.now)
    for request in unanswered + pending.removeAll(where: { _ in true }) {
      request.fail(.closed) { _ in }
    }
    connection.ended.fulfil(())
  }
}
