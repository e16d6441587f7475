import AsyncRedisLockTesting

/// The replica of the server, which is always a little behind.
struct Replication {
  /// A session that waits for the replica.
  struct Waiting {
    let session: Session
    /// What the replica has to have.
    let offset: Int
  }

  /// What the replica has.
  var server: SimulatedServer
  var offset = 0
  /// How many commands the primary has executed.
  var primaryOffset = 0
  var isUnderWay = false
  /// Tells the server's process from earlier ones, and its time as a primary from earlier ones.
  var run = 1
  var history = 1
  var waiting: [Waiting] = []

  init(of server: SimulatedServer) { self.server = server }
}

/// Waiting for the replica, and putting it in the server's place.
extension SimulatedRedis {
  /// Notes that a command has been executed, which the replica will hear of.
  func replicate() {
    guard weather.acknowledges else { return }
    replication.primaryOffset += 1
    send()
  }

  /// Sends the server's state to the replica, and what has changed by then after that.
  private func send() {
    guard !replication.isUnderWay, replication.offset < replication.primaryOffset else { return }
    replication.isUnderWay = true
    let (state, offset, history) = (server, replication.primaryOffset, replication.history)
    // Now and then, the replica is stopped or cut off for a while.
    let longest = scheduler.happens(30) ? 400_000_000 : 3_000_000
    scheduler.at(scheduler.now + Int64(scheduler.pick(longest)), of: nil) { [weak self] in
      guard let self, replication.history == history else { return }
      replication.isUnderWay = false
      replication.server = state
      replication.offset = offset
      let ready = replication.waiting.filter { $0.offset <= offset }
      replication.waiting.removeAll { $0.offset <= offset }
      for waiting in ready { answer(waiting.session, 1) }
      send()
    }
  }

  /// Lets a session wait for the replica; returns false if the answer is there.
  func wait(_ session: Session, milliseconds: Int64) -> Bool {
    // WAIT speaks of the session's last write.
    guard session.writtenAt > replication.offset else { return false }
    scheduler.count(.replicaAwaited)
    replication.waiting.append(.init(session: session, offset: session.writtenAt))
    scheduler.at(scheduler.now + milliseconds * 1_000_000, of: nil) { [weak self] in
      guard let self else { return }
      let place = replication.waiting.firstIndex { $0.session === session }
      guard let place, session.writtenAt == replication.waiting[place].offset else { return }
      replication.waiting.remove(at: place)
      scheduler.count(.replicaTooLate)
      answer(session, 0)
    }
    return true
  }

  private func answer(_ session: Session, _ count: Int64) {
    guard session.isOpen else { return }
    session.line?.answer(Answer.number(count).encoded, confirming: [])
    session.isAtWork = false
    work(on: session)
  }

  /// Puts the replica in the server's place; what it does not know is lost.
  ///
  /// If `isSameProcess`, the server itself has been a replica of the other for a moment, and goes on as a primary;
  /// connections stay.
  func failOver(isSameProcess: Bool) {
    scheduler.note(isSameProcess ? "the server was a replica" : "the replica takes over")
    scheduler.count(isSameProcess ? .serverDemoted : .failover)
    if !isSameProcess { hangUpAll() }
    let waiting = replication.waiting
    replication.waiting = []
    for one in waiting { hangUp(one.session) }
    var next = replication.server
    next.listeners = isSameProcess ? server.listeners : [:]
    next.messages = []
    next.time = server.time
    server = next
    if !isSameProcess {
      replication.run += 1
      forgetScripts()
    }
    replication.history += 1
    replication.isUnderWay = false
    replication.primaryOffset += 1
    replication.offset = replication.primaryOffset
    setTime()
    onChange()
  }

  /// The answer to `INFO`.
  func information(_ section: String) -> Answer {
    .text(
      section == "server"
        ? "# Server\r\nrun_id:\(replication.run)\r\n"
        : "# Replication\r\nrole:master\r\nmaster_replid:\(replication.history)\r\n")
  }
}
