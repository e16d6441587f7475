internal import Synchronization

/// Releases that go to the server together, in one command.
///
/// Releases that arrive while the first waits for its turn on the connection join it.
final class ReleaseGroup: Sendable {
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

  private let names: ServerKeys
  private let state: Locked<State>

  init(_ first: Member, names: ServerKeys) {
    self.names = names
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

  /// The command to send; from then on, no member can join.
  func commandToSend() -> Command {
    let members = state.withLock { state in
      state.isSent = true
      return state.members
    }
    // A single release that meets a waiter hands the key on in the same step.
    if members.count == 1 {
      return RedisNode.releaseCommand(members[0].release.claim, names, queues: true)
    }
    return Script.releaseGroup.command(
      keys: members.flatMap { member in
        let key = member.release.claim.keys[0]
        return [key, names.queue(of: key)]
      }, arguments: members.map(\.release.claim.token))
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
