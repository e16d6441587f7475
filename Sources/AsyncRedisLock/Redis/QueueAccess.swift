internal import Synchronization

/// Whether the server lets this locker use the queues.
///
/// The server may refuse what every queue needs, or only the queue of some keys: one that is forbidden must not keep
/// the locker from the others.
///
/// A refusal counts for a while only, since the rights may be mended: a request finds that out. Each further refusal
/// counts for twice as long, until a request has used the queues.
final class QueueAccess: Sendable {
  private struct Refusal {
    var end: Instant
    /// How long the next refusal counts.
    var pause: Duration
  }

  private struct State {
    /// The refusal of what every queue needs.
    var general: Refusal?
    /// The refusals of single queues, by all keys of a lock: which of these is at fault is not known.
    var special: [[String]: Refusal] = [:]
    /// The end of the last of them.
    var lastEnd: Instant?
    /// Keys whose queues were used since a queue was refused: the latest ones, and those before.
    var used: Set<[String]> = []
    var usedBefore: Set<[String]> = []
  }

  private static let shortest = Duration.seconds(1)
  private static let longest = Duration.seconds(60)
  /// A user with as many forbidden queues probably has no right to any.
  static let mostSpecial = 1000
  private static let mostUsed = 1000

  private let clock: LockClock
  private let state = Locked(State())
  /// Whether there is anything to look up: nearly always, there is not.
  private let isClear = Atomic<Bool>(true)

  init(clock: LockClock) { self.clock = clock }

  /// Whether scripts may use the queues of these keys.
  func isOpen(for keys: [String]) -> Bool {
    isClear.load(ordering: .relaxed)
      || state.withLock { isOver($0.general) && isOver($0.special[keys]) }
  }

  /// Whether the server has refused the queues of these keys, and they have not been used since.
  ///
  /// If they have never been used, this is also true for a minute after the refusal of other keys' queues.
  func mayRefuse(_ keys: [String]) -> Bool {
    guard !isClear.load(ordering: .relaxed) else { return false }
    return state.withLock { state in
      if state.special[keys] != nil { return true }
      guard let lastEnd = state.lastEnd, clock.now < lastEnd + Self.longest else { return false }
      return !state.used.contains(keys) && !state.usedBefore.contains(keys)
    }
  }

  private func isOver(_ refusal: Refusal?) -> Bool { refusal.map { $0.end <= clock.now } ?? true }

  /// The refusal that follows another one; nil while that counts.
  private func next(after former: Refusal?) -> Refusal? {
    guard isOver(former) else { return nil }
    let pause = former?.pause ?? Self.shortest
    return Refusal(end: clock.now + pause, pause: min(pause * 2, Self.longest))
  }

  /// Notes that the server has refused what every queue needs, or what the queues of `keys` do.
  ///
  /// Returns false if that was known.
  func refuse(_ keys: [String]? = nil) -> Bool {
    state.withLock { state in
      isClear.store(false, ordering: .relaxed)
      if let keys {
        guard let refusal = next(after: state.special[keys]) else { return false }
        state.used.remove(keys)
        state.usedBefore.remove(keys)
        state.lastEnd = max(state.lastEnd ?? refusal.end, refusal.end)
        if state.special.count >= Self.mostSpecial {
          state.special = state.special.filter { !isOver($0.value) }
        }
        if state.special.count < Self.mostSpecial || state.special[keys] != nil {
          state.special[keys] = refusal
          return true
        }
      }
      guard let refusal = next(after: state.general) else { return false }
      state.general = refusal
      return true
    }
  }

  /// Notes that a request has used the queues of each of these locks' keys.
  ///
  /// An answer that was under way at a refusal says nothing about the next request.
  func noteUse(of locks: some Sequence<[String]>) {
    guard !isClear.load(ordering: .relaxed) else { return }
    state.withLock { state in
      guard isOver(state.general) else { return }
      state.general = nil
      for keys in locks where isOver(state.special[keys]) {
        state.special[keys] = nil
        if state.used.count >= Self.mostUsed { (state.usedBefore, state.used) = (state.used, []) }
        state.used.insert(keys)
      }
      if state.special.isEmpty { (state.used, state.usedBefore, state.lastEnd) = ([], [], nil) }
      isClear.store(state.special.isEmpty, ordering: .relaxed)
    }
  }

  /// Lets the next requests find out anew what the server refuses.
  func permit() {
    guard !isClear.load(ordering: .relaxed) else { return }
    state.withLock { state in
      state.general = nil
      for keys in state.special.keys {
        state.special[keys] = Refusal(end: clock.now, pause: Self.shortest)
      }
      isClear.store(state.special.isEmpty, ordering: .relaxed)
    }
  }
}
