internal import Synchronization

/// A request of a quorum for the keys of a claim, which no task awaits.
final class ClaimCall: Sendable {
  private struct State {
    var isCancelled = false
    /// The request that is under way; the second one, if any, draws a fencing token.
    var request: Request?
  }

  private let claim: Claim
  private let node: RedisNode
  private let deadline: Instant
  private let undos: UndoRecord
  private let completion: @Sendable (Result<Acquisition, StoreFailure>) -> Void
  private let state = Locked(State())

  init(
    _ claim: Claim, at node: RedisNode, by deadline: Instant, undos: UndoRecord,
    completion: @escaping @Sendable (Result<Acquisition, StoreFailure>) -> Void
  ) {
    self.claim = claim
    self.node = node
    self.deadline = deadline
    self.undos = undos
    self.completion = completion
  }

  func start(_ question: KeyQuestion) {
    switch question {
    case .acquire(let numbers)
    where claim.keys.count == 1 && !(node.isFencing && numbers > 1)
      && !node.refusesScripts.load(ordering: .relaxed):
      send(
        Request(
          AcquireCall(claim, at: node), deadline: deadline, undo: undo, isClaim: true,
          lingers: lingers
        ) { [self] result in
          finish(result) { answer in
            RedisNode.readPipeline(
              answer, token: claim.token, fences: node.fences, primary: node.answeringPrimary)
          }
        })
    case .acquire(let numbers), .inquire(let numbers):
      send(
        Request(
          [node.inquiry(claim, numbers: numbers)], deadline: deadline, undo: undo, isClaim: true,
          lingers: lingers
        ) { [self] result in
          finish(result) { node.readInquiry($0, numbers: numbers) }
        })
    case .adopt(let token, let numbers):
      send(
        Request(
          [node.adoption(claim, from: token, numbers: numbers)], deadline: deadline, undo: undo,
          isClaim: true, lingers: lingers
        ) { [self] result in
          finish(result) {
            node.readAdoption($0, numbers: numbers) { undos.noteFormer(lasting: $0) }
          }
        })
    }
  }

  /// Gives the request up, and undoes it.
  func cancel() {
    let request = state.withLock { state in
      state.isCancelled = true
      return state.request.take()
    }
    if let request { node.connection.abandon(request) }
  }

  private var undo: Request.Undo {
    { [node, claim, undos] in
      node.cleanUp(claim, undoing: $0, pending: undos.begin())
    }
  }

  private var lingers: @Sendable () -> Void {
    { [node, undos] in undos.noteLate(in: node.runID) }
  }

  private func send(_ request: Request) {
    let isCancelled = state.withLock { state in
      if !state.isCancelled { state.request = request }
      return state.isCancelled
    }
    if isCancelled { node.connection.abandon(request) }
    node.connection.submit(request)
  }

  private func finish(
    _ result: Result<Request.Answer, TransportError>,
    _ read: (Request.Answer) -> Result<RedisNode.Attempt, StoreFailure>
  ) {
    switch node.judge(result, undoing: claim, in: undos, read: read) {
    case .failure(let failure): conclude(.failure(failure))
    case .success(.done(let acquisition, _)): conclude(.success(acquisition))
    case .success(.needsNumber(let sentAt)): drawNumber(sentAt: sentAt)
    }
  }

  /// Raises the fence counter and draws a number for keys that the claim has already, until the deadline.
  private func drawNumber(sentAt: Instant) {
    let command = RedisNode.raiseCommand(
      node.names, above: node.fences.largest, keys: claim.keys, token: claim.token)
    send(
      Request([command], deadline: deadline) { [self] result in
        let attempt = node.judge(result, undoing: nil) { node.readNumber($0, sentAt: sentAt) }
        switch attempt {
        case .success(.some(.done(.held(let sentAt, let numbers), _))):
          conclude(.success(.held(sentAt: sentAt, numbers: numbers)))
        case .success(.some(.done(.contended(let state), _))): giveUp(.success(.contended(state)))
        case .success(.some(.needsNumber)), .success(.none): drawNumber(sentAt: sentAt)
        case .failure(let failure): giveUp(.failure(failure))
        }
      })
  }

  private func giveUp(_ result: Result<Acquisition, StoreFailure>) {
    node.connection.submit(node.cleanUp(claim, pending: undos.begin()))
    conclude(result)
  }

  private func conclude(_ result: Result<Acquisition, StoreFailure>) {
    state.withLock { $0.request = nil }
    completion(result)
  }
}
