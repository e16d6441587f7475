internal import DequeModule

/// How requests fail, and how a connection ends.
extension ConnectionDriver {
  mutating func failOverdue(at now: Instant, on connection: Connection) {
    for request in inFlight.overdue(at: now) { request.fail(.timedOut) { connection.submit($0) } }
    for request in pending.removeOverdue(at: now) {
      request.fail(isReady ? .timedOut : lastFailure) { connection.submit($0) }
    }
  }

  /// Closes the connection; what is unanswered fails, or waits for the next connection.
  mutating func disconnect(because cause: TransportError, on connection: Connection) {
    let unanswered = removeUnanswered()
    takeBack(unanswered, on: connection)
    connection.reporter.disconnected(because: cause)
    stream = nil
    mustReconnect = false
    lastFailure = cause
    // It connects only for something that waits.
    link = .down(until: connection.clock.now + backoff.pause(isWaitedFor: true, using: &generator))
    let repeated = unanswered.filter { $0.givesBack && $0.beginRepeating() }
    pending.prepend(contentsOf: repeated)
    for request in unanswered where !request.givesBack {
      request.fail(cause) { undo in
        undo.noteRepetition()
        connection.submit(undo)
      }
    }
    if case .refused = cause {
      // Waiting would not help. What only cleans up keeps trying while it makes sense.
      for request in pending.removeAll(where: { !$0.givesBack }) {
        request.fail(cause) { connection.submit($0) }
      }
    }
  }

  /// Takes out all that was sent and has had no answer that can be trusted.
  private mutating func removeUnanswered() -> [Request] {
    defer { answered.removeAll() }
    return answered.map(\.request) + inFlight.removeAll()
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
    let undos = unanswered.compactMap { $0.undo?() } + waiting
    guard !undos.isEmpty else { return }
    for request in waiting { request.noteRepetition() }
    // A stream that is broken already takes nothing, and needs no more than the attempt.
    try? stream?.writeFinally(undos.flatMap(\.commandsBySource))
  }

  /// Fails everything but what gives back and cleans up.
  mutating func refuse(_ openness: SubmissionQueue.Openness, on connection: Connection) {
    self.openness = openness
    let refused =
      inFlight.requests.filter { !$0.givesBack } + pending.removeAll { !$0.givesBack }
    for request in refused { request.fail(.closed) { connection.submit($0) } }
  }

  /// Ends for good.
  mutating func shutDown(on connection: Connection) {
    connection.end()
    let unanswered = removeUnanswered()
    takeBack(unanswered, on: connection, isLast: true)
    stream = nil
    link = .down(until: connection.clock.now)
    for request in unanswered + pending.removeAll(where: { _ in true }) {
      request.fail(.closed) { _ in }
    }
    connection.ended.fulfil(())
  }
}
