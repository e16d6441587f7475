internal import Synchronization

/// A request for one key, in a pipeline, and the promise of its outcome for the task that awaits it.
final class AcquireCall: Promising, CommandEncoder {
  typealias Value = Result<RedisNode.Attempt, StoreFailure>

  private let claim: Claim
  private let node: RedisNode
  private let state = Locked(PromiseState<Value>())

  init(_ claim: Claim, at node: RedisNode) {
    self.claim = claim
    self.node = node
  }

  func makeRequest(by deadline: Instant) -> Request {
    // Closures that capture one object need no memory of their own.
    Request(
      self, deadline: deadline, isAwaited: true,
      undo: { [self] in node.cleanUp(claim, undoing: $0) }, isClaim: true
    ) {
      [self] result in finish(result)
    }
  }

  var commandCount: Int { node.isFencing ? 3 : 2 }

  var runsScript: Bool { false }

  /// Encodes `SET NX`, maybe `INCR`, and `GETRANGE`.
  func encode(into buffer: inout CommandBuffer, question: UInt32, bySource: Bool) -> Bool {
    let (key, fence) = (claim.keys[0], node.isFencing ? node.names.fence : nil)
    buffer.append(encoded: "*6\r\n$3\r\nSET\r\n")
    buffer.append(key)
    buffer.append(claim.token)
    buffer.append(encoded: "$2\r\nNX\r\n$2\r\nPX\r\n")
    buffer.append(claim.ttl.wholeMilliseconds)
    if let fence {
      buffer.append(encoded: "*2\r\n$4\r\nINCR\r\n")
      buffer.append(fence)
    }
    // Not GET: a foreign value can be of any length.
    buffer.append(encoded: "*4\r\n$8\r\nGETRANGE\r\n")
    buffer.append(key)
    buffer.append(encoded: "$1\r\n0\r\n")
    buffer.append(Int64(LockToken.maximumLength - 1))
    return true
  }

  private func finish(_ result: Result<Request.Answer, TransportError>) {
    fulfil(
      node.judge(result, undoing: claim) { answer in
        RedisNode.readPipeline(
          answer, token: claim.token, fences: node.fences, primary: node.answeringPrimary)
      })
  }

  func withPromise<Result: Sendable>(_ body: (inout PromiseState<Value>) -> Result) -> Result {
    state.withLock { body(&$0) }
  }
}
