internal import Synchronization

/// A place in the server's queue for some keys, and the pause of the task that looks after it.
///
/// It belongs to no task: if the task that looks after it gives up, the next task goes on.
final class QueueEntry: Sendable {
  private struct Guarded {
    var state: QueueEntryState
    var pause: Signal?
    /// The ttl that the last poll asked for.
    var ttl: Duration
    /// When the request under way was sent; nil if there is none.
    var askedAt: Instant?
    /// The holder of a key and the time left, when last asked.
    var keyState: KeyState?
  }

  private let store: any LockStore
  private let refresher: QueueEntryRefresher
  private let keys: [String]
  private let token: String
  private let retry: Duration
  private let operationTimeout: Duration
  private let guarded: Locked<Guarded>

  init(
    for keys: [String], options: LockOptions, in store: any LockStore, isUntold: Bool,
    refreshedBy refresher: QueueEntryRefresher,
    operationTimeout: Duration
  ) {
    self.store = store
    self.refresher = refresher
    self.keys = keys
    retry = options.retry
    self.operationTimeout = operationTimeout
    token = store.makeToken(for: keys, label: options.label)
    guarded = Locked(
      Guarded(
        // If only some of several keys are reserved, they stay so only as long as the place is polled.
        state: QueueEntryState(
          retry: options.retry, isRefreshed: store.refreshesEntries && keys.count == 1,
          isUntold: isUntold, at: store.clock.now),
        ttl: options.ttl))
    store.listen(for: claim(ttl: options.ttl)) { [weak self] notice in self?.receive(notice) }
  }

  /// The holder of a key when last asked.
  var holder: String? { guarded.withLock { $0.state.holder } }

  /// The holder of a key and the time left, when last asked; nil if there has been no answer.
  var keyState: KeyState? { guarded.withLock { $0.keyState } }

  /// Why the request under way has no answer, if a healthy server would have given one by now.
  var trouble: StoreFailure? {
    guard let askedAt = guarded.withLock({ $0.askedAt }),
      askedAt.duration(to: store.clock.now) >= max(store.roundTrip * 10, Self.fairChance)
    else { return nil }
    return .unreachable("no answer in time")
  }

  /// A server that does not answer for this long is in trouble.
  private static let fairChance = Duration.milliseconds(50)

  /// Decides what to do now.
  func next() -> QueueEntryState.Action { guarded.withLock { $0.state.next(at: store.clock.now) } }

  /// The claim that takes its keys.
  func claim(ttl: Duration) -> Claim { Claim(keys: keys, token: token, ttl: ttl) }

  /// Goes on for a task with other options; returns false if a grant may last longer than that task wants.
  func serve(_ options: LockOptions) -> Bool {
    guarded.withLock { guarded in
      guard guarded.ttl <= options.ttl else { return false }
      if guarded.ttl < options.ttl { guarded.state.hurry(at: store.clock.now) }
      return true
    }
  }

  /// Asks as soon as no request is under way.
  func hurry() { change { $0.hurry(at: store.clock.now) } }

  /// Asks the store.
  func poll(ttl: Duration, numbers: Int) {
    let deadline = store.clock.now + min(operationTimeout, ttl)
    let isReserving = guarded.withLock {
      $0.ttl = ttl
      $0.askedAt = store.clock.now
      $0.state.willPoll(ttl: ttl, deadline: deadline)
      return $0.state.wantsReservation
    }
    store.poll(
      claim(ttl: ttl), numbers: numbers,
      lapse: QueueEntryState.lapse(ttl: ttl, operationTimeout: operationTimeout),
      reservation: isReserving ? retry + operationTimeout : nil, by: deadline
    ) { [self] answer in
      let isTold = store.isTold(of: keys)
      noteAnswer(try? answer.get().waiting)
      let hasMissed = change { state in
        var generator = store.randomness
        return state.answered(answer, isTold: isTold, at: store.clock.now, using: &generator)
      }
      if hasMissed { store.noteUntoldGrant(of: claim(ttl: ttl)) }
      planRefresh()
    }
  }

  // MARK: Being refreshed

  private func planRefresh() {
    if let due = guarded.withLock({ $0.state.refreshDue }) { refresher.add(self, due: due) }
  }

  /// The request that refreshes the place now; nil if it is not to be refreshed.
  func willRefresh() -> EntryRefresh? {
    let now = store.clock.now + QueueEntryRefresher.grid
    return guarded.withLock { guarded in
      guard guarded.state.willRefresh(at: now) else { return nil }
      guarded.askedAt = store.clock.now
      return EntryRefresh(
        claim: claim(ttl: guarded.ttl),
        lapse: QueueEntryState.lapse(ttl: guarded.ttl, operationTimeout: operationTimeout))
    }
  }

  /// Processes the outcome of a refresh; nil if a poll has to find out more.
  func refreshed(_ waiting: Waiting?) {
    let isTold = store.isTold(of: keys)
    noteAnswer(waiting)
    let pause = guarded.withLock { guarded in
      var generator = store.randomness
      guarded.state.refreshed(
        waiting, isTold: isTold, at: store.clock.now, using: &generator)
      // As long as the place rests, its task may sleep on.
      return guarded.state.next(at: store.clock.now) == .rest ? nil : guarded.pause.take()
    }
    pause?.fire()
    planRefresh()
  }

  /// Waits until an instant, until something has arrived, or until the task is cancelled.
  ///
  /// `seen` is what the task decided to wait for; that may have changed by now.
  func wait(
    for seen: QueueEntryState.Action, until instant: Instant, wakingBy deadlines: Deadlines
  ) async throws(CancellationError) {
    let signal = Signal()
    let hasNews = guarded.withLock { guarded in
      guarded.pause = signal
      return guarded.state.next(at: store.clock.now) != seen
    }
    if hasNews { return }
    deadlines.wake(signal, at: instant)
    defer { deadlines.noteEnd() }
    try await signal.wait(countedBy: store.clock.activity)
  }

  /// Notes that no request is under way, and what the last one said.
  private func noteAnswer(_ waiting: Waiting?) {
    guarded.withLock { guarded in
      guarded.askedAt = nil
      if let waiting { guarded.keyState = waiting.state }
    }
  }

  /// Gives up the place for good.
  func cancel() {
    let ttl = guarded.withLock { $0.ttl }
    store.cancel(
      claim(ttl: ttl), lapse: QueueEntryState.lapse(ttl: ttl, operationTimeout: operationTimeout))
  }

  private func receive(_ notice: Notice) {
    change { state in
      switch notice {
      case .granted(let numbers): state.granted(numbers, at: store.clock.now)
      case .mayHaveMissed: state.hurry(at: store.clock.now)
      }
    }
  }

  /// Applies an event to the state, and wakes the task that looks after the place.
  private func change<Result: Sendable>(_ event: (inout QueueEntryState) -> Result) -> Result {
    let (result, pause) = guarded.withLock { guarded in
      (event(&guarded.state), guarded.pause.take())
    }
    pause?.fire()
    return result
  }
}
