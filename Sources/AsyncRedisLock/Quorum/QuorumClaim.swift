/// What the members of a quorum know of one token: which of them have its keys, and which are being asked.
final class QuorumClaim: Sendable {
  /// What one member knows.
  enum Standing: Sendable, Equatable {
    /// A request for the keys is under way.
    case asking
    /// It has said that the token has the keys.
    case held
    /// It has said that the token does not have the keys, or was not asked.
    case refused
    /// A request has failed, and is being undone, maybe more than once: what the member says until that is over may not
    /// last.
    case spoiled
  }

  private struct State {
    var standings: [Standing]
    var tasks: [KeyCall?]
    /// Whether the keys are being given back.
    var isOver = false
    /// Whether the keys were left to another process.
    var isLeft = false
    /// Whether the keys go back to the former holder.
    var isRestored = false
    /// The longest ttl that the keys were given.
    var longestTTL: Duration
    /// The largest fencing token of the claim; 0 without fencing.
    var fence: UInt64 = 0
  }

  let claim: Claim
  /// The token that the keys are taken over from; nil if they are not.
  let former: String?
  /// For each member, what is left to undo.
  let undos: [UndoRecord]
  private let state: Locked<State>

  /// Creates the record of a claim that no member has been asked about.
  init(_ claim: Claim, from former: String? = nil, memberCount: Int) {
    self.claim = claim
    self.former = former
    undos = (0..<memberCount).map { _ in UndoRecord() }
    state = Locked(
      State(
        standings: Array(repeating: .refused, count: memberCount),
        tasks: Array(repeating: nil, count: memberCount), longestTTL: claim.ttl))
  }

  var standings: [Standing] { state.withLock { $0.standings } }

  /// Whether the keys go back to the former holder.
  var isRestored: Bool { state.withLock { $0.isRestored } }

  /// The members that are being asked for the keys.
  var asked: [Int] {
    state.withLock { state in state.standings.indices.filter { state.standings[$0] == .asking } }
  }

  /// The members that have the keys.
  var holders: [Int] {
    state.withLock { state in state.standings.indices.filter { state.standings[$0] == .held } }
  }

  /// The longest ttl that the keys were given.
  var longestTTL: Duration { state.withLock { $0.longestTTL } }

  /// The largest fencing token of the claim; 0 without fencing.
  var fence: UInt64 { state.withLock { $0.fence } }

  func noteExtension(by ttl: Duration) {
    state.withLock { $0.longestTTL = max($0.longestTTL, ttl) }
  }

  func noteFence(_ number: UInt64) { state.withLock { $0.fence = max($0.fence, number) } }

  // MARK: Requests for the keys

  /// Notes that a member, whose server's process is `run`, is about to be asked for the keys; returns false if it must
  /// not be.
  ///
  /// Where a request has failed before, its undo may yet come.
  func begin(at member: Int, in run: String?) -> Bool {
    guard undos[member].isOver(in: run) else { return false }
    return state.withLock { state in
      guard !state.isOver, !state.isLeft, [.refused, .spoiled].contains(state.standings[member])
      else {
        return false
      }
      state.standings[member] = .asking
      return true
    }
  }

  /// Notes a request that is under way; returns false if it is to be cancelled.
  func attach(_ task: KeyCall, at member: Int) -> Bool {
    state.withLock { state in
      guard state.standings[member] == .asking else { return true }
      guard !state.isOver || state.isRestored else { return false }
      state.tasks[member] = task
      return true
    }
  }

  /// Notes the outcome of a request; returns false if the member has the keys and must give them back.
  func conclude(_ standing: Standing, at member: Int) -> Bool {
    state.withLock { state in
      state.tasks[member] = nil
      let isLate = state.isOver && standing == .held
      state.standings[member] = isLate ? .spoiled : standing
      return !isLate
    }
  }

  /// Notes that a member that had the keys says that they are gone; returns false if that does not matter any more.
  func noteLoss(at member: Int) -> Bool {
    state.withLock { state in
      guard !state.isOver, state.standings[member] == .held else { return false }
      state.standings[member] = .refused
      return true
    }
  }

  // MARK: The end

  /// Notes that the keys were left to another process: no member is asked for them any more, and those that are being
  /// asked may get them.
  func leave() { state.withLock { $0.isLeft = true } }

  /// The work that is left for a claim that has ended.
  struct End {
    /// The members that have to give the keys back.
    let holders: [Int]
    /// The requests that are to be cancelled, and so undone.
    let tasks: [KeyCall]
  }

  /// Ends the claim: no member is asked for the keys any more, and those that get them late give them back.
  ///
  /// If the keys go back to the former holder, the requests go on: what they do is not known before their answers.
  func end(restores: Bool = false) -> End {
    state.withLock { state in
      state.isOver = true
      state.isRestored = restores
      let holders = state.standings.indices.filter { state.standings[$0] == .held }
      for member in holders { state.standings[member] = .refused }
      let tasks = restores ? [] : state.tasks.compactMap(\.self)
      state.tasks = state.tasks.map { _ in nil }
      return End(holders: holders, tasks: tasks)
    }
  }
}
