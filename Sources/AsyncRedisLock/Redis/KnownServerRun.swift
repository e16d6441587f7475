/// The process of the server that a connection leads to, as its last login has found it.
///
/// A server that was restarted may have forgotten locks that are still valid, so a quorum has to know since when it
/// runs.
final class KnownServerRun: Sendable {
  /// The commands of a login that ask for it.
  let commands = [Command("INFO", "server")]
  private let clock: LockClock
  private let known = Locked(Known())

  private struct Known {
    var current: Result<ServerRun, StoreFailure>?
    /// The last process that is known, and when it was seen first.
    var last: (run: ServerRun, seenAt: Instant)?
  }

  init(clock: LockClock) { self.clock = clock }

  /// The process, or why it is not known; nil before the first login.
  var current: Result<ServerRun, StoreFailure>? { known.withLock { $0.current } }

  /// Reads the replies to ``commands``, which have come just now.
  func note(_ replies: some Collection<Reply>) {
    let now = clock.now
    let read = Self.read(replies.first, at: now)
    known.withLock { known in
      known.current = read.map { run in
        let startedBy = Self.start(of: run, after: known.last, at: now)
        let seenAt = known.last.flatMap { $0.run.id == run.id ? $0.seenAt : nil } ?? now
        let run = ServerRun(id: run.id, startedBy: startedBy)
        known.last = (run, seenAt)
        return run
      }
    }
  }

  /// The latest instant at which a process may have taken the place of the one before.
  ///
  /// Another process knows nothing of the locks of the one before, however long it has been running: a spare server
  /// may have got the address. And what a process tells of its uptime grows if its clock is set forward.
  private static func start(
    of run: ServerRun, after last: (run: ServerRun, seenAt: Instant)?, at now: Instant
  ) -> Instant {
    guard let last else { return run.startedBy }
    guard run.id == last.run.id else { return now }
    return min(max(run.startedBy, last.run.startedBy), last.seenAt)
  }

  static func read(_ reply: Reply?, at now: Instant) -> Result<ServerRun, StoreFailure> {
    switch reply {
    case .error(let error): return .failure(StoreFailure(error))
    case .string(let text):
      guard let id = PrimaryRun.field("run_id", of: text),
        let uptime = PrimaryRun.field("uptime_in_seconds", of: text).flatMap({ Int64($0) }),
        uptime <= Int64(Int32.max)
      else { break }
      // The server counts from the beginning of the second in which it was started. If its clock was set back since,
      // it may tell less than nothing.
      return .success(ServerRun(id: id, startedBy: now - .seconds(max(uptime, 1) - 1)))
    default: break
    }
    return .failure(
      .refused(
        code: "ERR", message: "INFO does not tell the server's run_id and uptime_in_seconds",
        isTransient: false))
  }
}

extension RedisLockStore: QuorumMember {
  var name: String { node.reporter.address }

  var serverRun: Result<ServerRun, StoreFailure>? { node.serverRun?.current }

  func reconnect(by deadline: Instant, completion: @escaping @Sendable () -> Void) {
    node.connection.submit(Request([], deadline: deadline) { _ in completion() })
  }

  func request(
    _ claim: Claim, _ question: KeyQuestion, by deadline: Instant, undos: UndoRecord,
    completion: @escaping @Sendable (Result<Acquisition, StoreFailure>) -> Void
  ) -> KeyCall {
    let call = ClaimCall(
      claim, at: node(of: claim), by: deadline, undos: undos, completion: completion)
    call.start(question)
    return KeyCall { call.cancel() }
  }

  func restore(
    _ claim: Claim, to former: String, undos: UndoRecord, by deadline: Instant,
    completion: @escaping @Sendable (Result<Void, StoreFailure>) -> Void
  ) {
    guard let rest = undos.formerRest else {
      return completion(
        .failure(.unreachable("it is not known how long the keys would have lasted")))
    }
    let difference = rest.wholeMilliseconds - claim.ttl.wholeMilliseconds
    let command = Script.restore.command(
      keys: claim.keys, arguments: [claim.token, former, String(difference)])
    node(of: claim).connection.submit(
      Request([command], deadline: deadline, kind: .release) { result in
        switch result.map({ $0.replies[0] }) {
        case .success(.integer(1)): completion(.success(()))
        case .success(.error(let error)): completion(.failure(StoreFailure(error)))
        case .success(let reply): completion(.failure(.unexpected(reply)))
        case .failure(let failure): completion(.failure(StoreFailure(failure)))
        }
      })
  }

  func raiseFence(
    above number: UInt64, for claim: Claim, by deadline: Instant,
    completion: @escaping @Sendable (Result<Bool, StoreFailure>) -> Void
  ) {
    let node = node(of: claim)
    let command = RedisNode.raiseCommand(
      node.names, above: max(number, node.fences.largest), keys: claim.keys, token: claim.token)
    node.connection.submit(
      Request([command], deadline: deadline) { result in
        completion(node.readRaise(result, above: number))
      })
  }
}

extension RedisNode {
  /// The process of a quorum's server, if it is known.
  var runID: String? { try? serverRun?.current?.get().id }

  /// Reads the answer to a request to raise the counter.
  fileprivate func readRaise(
    _ result: Result<Request.Answer, TransportError>, above number: UInt64
  ) -> Result<Bool, StoreFailure> {
    switch result {
    case .failure(let failure): return .failure(StoreFailure(failure))
    case .success(let answer):
      switch answer.replies[0] {
      case .null: return .success(false)
      case .error(let error): return .failure(StoreFailure(error))
      case let reply:
        guard let drawn = reply.fencingToken, drawn > number else {
          connection.distrust()
          return .failure(.noFencingToken(reply))
        }
        _ = fences.accept(drawn, isRaised: true, from: answer.source)
        return .success(true)
      }
    }
  }
}
