/// Actions that give back and are to be tried again after a pause, because the server could not take them.
struct PostponedWork {
  typealias Action = @Sendable () -> Void

  /// How often a few actions are tried while the connection is being closed.
  static let trialPause = Duration.milliseconds(10)
  /// How many are tried then: 10,000 a second, whatever their number.
  private static let mostTrials = 100
  /// The time for which all of them are not tried again, for each of them.
  private static let pauseOfOne = Duration.microseconds(10)

  private var actions = DeadlineHeap<Action>()
  /// When the connection ends, if it is being closed.
  private var end: Instant?
  private var isTrying = false
  private var nextForAll: Instant?

  /// Adds an action; returns whether the connection is being closed, so that trials decide when it is run.
  mutating func add(_ action: @escaping Action, due: Instant) -> Bool {
    actions.add(action, due: due)
    return end != nil
  }

  /// Begins closing, which is over at an instant, unless it has begun.
  mutating func close(by end: Instant) { self.end = self.end ?? end }

  /// Begins trials, which have to be ended by the next of ``takeTrial()``; returns false if it is under way, or if
  /// there is nothing to try.
  mutating func beginTrial() -> Bool {
    guard end != nil, !isTrying, actions.count > 0 else { return false }
    isTrying = true
    return true
  }

  /// Takes out those actions that have waited longest, or all when the time for closing is over: their callers
  /// wait for an outcome.
  mutating func takeTrial(at now: Instant) -> [Action] {
    isTrying = false
    if let end, end <= now { return takeAll() }
    return actions.removeFirst(Self.mostTrials).map(\.item)
  }

  /// Takes out the actions that are due by an instant.
  mutating func takeDue(by instant: Instant) -> [Action] {
    actions.removeDue(by: instant).map(\.item)
  }

  /// Takes out all actions, since one has succeeded, if the connection is being closed and if that has not been
  /// done just before.
  mutating func takeAllOnSuccess(at instant: @autoclosure () -> Instant) -> [Action] {
    guard end != nil, actions.count > 0 else { return [] }
    let now = instant()
    if let nextForAll, now < nextForAll { return [] }
    nextForAll = now + max(Self.trialPause, Self.pauseOfOne * actions.count)
    return takeAll()
  }

  /// Takes out all actions.
  mutating func takeAll() -> [Action] { actions.removeFirst(actions.count).map(\.item) }
}
