internal import Synchronization

/// Releases that go to the server together, in one command.
///
/// Releases that arrive while the first waits for its turn on the connection join it.
final class ReleaseGroup: CommandEncoder {
  struct Member: Sendable {
    let release: Release
    let deadline: Instant
    let completion: @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  }

  private struct State {
    var members: [Member]
    var isSent = false
  }

  /// The server does nothing else meanwhile, and needs a microsecond for each.
  private static let mostMembers = 64

  private let node: RedisNode
  private let state: Locked<State>

  init(_ first: Member, at node: RedisNode) {
    self.node = node
    state = Locked(State(members: [first]))
  }

  /// Adds a member; returns false if it is too late for that.
  func add(_ member: Member) -> Bool {
    state.withLock { state in
      guard !state.isSent, state.members.count < Self.mostMembers else { return false }
      state.members.append(member)
      return true
    }
  }

  func makeRequest(for first: Member) -> Request {
    // A closure that captures one object needs no memory of its own.
    Request(
      self, deadline: first.deadline, kind: .release, isAwaited: first.release.isAwaited
    ) {
      [self] result in node.conclude(self, result)
    }
  }

  var commandCount: Int { 1 }

  var runsScript: Bool { true }

  /// Encodes the command; from then on, no member can join.
  func encode(into buffer: inout CommandBuffer, question: UInt32, bySource: Bool) -> Bool {
    let names = node.names
    state.withLock { state in
      state.isSent = true
      // A single release that meets a waiter hands the key on in the same step.
      if state.members.count == 1 {
        let claim = state.members[0].release.claim
        let key = claim.keys[0]
        buffer.beginCommand(words: 10)
        Script.release.append(to: &buffer, bySource: bySource, keyCount: 4)
        buffer.append(key)
        names.appendQueue(of: key, to: &buffer)
        names.appendEntries(of: key, to: &buffer)
        buffer.append(names.fence)
        buffer.append(names.prefix)
        buffer.append(claim.token)
      } else {
        let count = state.members.count
        buffer.beginCommand(words: 3 + 3 * count + 1)
        Script.releaseGroup.append(to: &buffer, bySource: bySource, keyCount: 2 * count)
        // Not as elements, which would be copied.
        for place in state.members.indices {
          let key = state.members[place].release.claim.keys[0]
          buffer.append(key)
          names.appendQueue(of: key, to: &buffer)
        }
        for place in state.members.indices {
          buffer.append(state.members[place].release.claim.token)
        }
      }
    }
    buffer.append(Int64(question))
    return true
  }

  /// The members, and whether their command has been sent.
  var contents: (members: [Member], isSent: Bool) { state.withLock { ($0.members, $0.isSent) } }

  /// The indices of those that were left as they were; nil if the answer to several makes no sense.
  static func left(_ reply: Reply, of count: Int) -> Set<Int>? {
    guard case .array(let positions) = reply else { return nil }
    var left: Set<Int> = []
    for position in positions {
      guard case .integer(let number) = position, (1...Int64(count)).contains(number) else {
        return nil
      }
      left.insert(Int(number) - 1)
    }
    return left
  }
}
