internal import Synchronization

/// A request for one key, in a pipeline, and the promise of its outcome for the task that awaits it.
final class AcquireCall: Promising {
  typealias Value = Result<RedisNode.Attempt, StoreFailure>

  private let claim: Claim
  private let node: RedisNode
  private let state = Locked(PromiseState<Value>())

  init(_ claim: Claim, at node: RedisNode) {
    self.claim = claim
    self.node = node
  }

  /// Makes the request: `SET NX`, maybe `INCR`, and `GETRANGE`.
  func makeRequest(by deadline: Instant) -> Request {
    let key = claim.keys[0]
    var commands = CommandBuffer(
      capacity: 160 + 2 * key.utf8.count + claim.token.utf8.count + node.names.fence.utf8.count)
    commands.beginCommand(words: 6)
    commands.append("SET")
    commands.append(key)
    commands.append(claim.token)
    commands.append("NX")
    commands.append("PX")
    commands.append(String(claim.ttl.wholeMilliseconds))
    if node.isFencing {
      commands.beginCommand(words: 2)
      commands.append("INCR")
      commands.append(node.names.fence)
    }
    // Not GET: a foreign value can be of any length.
    commands.beginCommand(words: 4)
    commands.append("GETRANGE")
    commands.append(key)
    commands.append("0")
    commands.append(Self.lastIndex)
    // Closures that capture one object need no memory of their own.
    return Request(
      commands, deadline: deadline, undo: { [self] in node.cleanUp(claim, undoing: $0) }
    ) {
      [self] result in finish(result)
    }
  }

  private static let lastIndex = String(LockToken.maximumLength - 1)

  private func finish(_ result: Result<Request.Answer, TransportError>) {
    fulfil(
      node.judge(result, undoing: claim) { answer in
        RedisNode.readPipeline(answer, token: claim.token, fences: node.fences)
      })
  }

  func withPromise<Result: Sendable>(_ body: (inout PromiseState<Value>) -> Result) -> Result {
    state.withLock { body(&$0) }
  }
}
