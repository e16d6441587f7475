internal import Synchronization

/// A place in the server's queue for some keys, and the pause of the task that looks after it.
///
/// It belongs to no task: when the one that looks after it gives up, the next goes on.
final class Place: Sendable {
  private struct Guarded {
    var state: PlaceState
    var pause: Promise<Bool>?
    /// The ttl that the last poll asked for.
    var ttl: Duration
  }

  private let store: any LockStore
  private let keys: [String]
  private let token: String
  private let operationTimeout: Duration
  private let guarded: Mutex<Guarded>

  init(
    for keys: [String], options: LockOptions, in store: any LockStore, operationTimeout: Duration
  ) {
    self.store = store
    self.keys = keys
    self.operationTimeout = operationTimeout
    token = store.makeToken(label: options.label)
    guarded = Mutex(
      Guarded(state: PlaceState(retry: options.retry, at: store.clock.now), ttl: options.ttl))
    store.listen(for: token) { [weak self] notice in self?.receive(notice) }
  }

  /// Who held a key when last asked.
  var holder: String? { guarded.withLock { $0.state.holder } }

  /// What to do now.
  func next() -> PlaceState.Action { guarded.withLock { $0.state.next(at: store.clock.now) } }

  /// The claim that its keys are taken by.
  func claim(ttl: Duration) -> Claim { Claim(keys: keys, token: token, ttl: ttl) }

  /// Goes on for a task with other options; false when it may be granted for longer than that task wants.
  func serve(_ options: LockOptions) -> Bool {
    guarded.withLock { guarded in
      guard guarded.ttl <= options.ttl else { return false }
      if guarded.ttl < options.ttl { guarded.state.hurry(at: store.clock.now) }
      return true
    }
  }

  /// Asks as soon as no question is under way.
  func hurry() { change { $0.hurry(at: store.clock.now) } }

  /// Asks the store.
  func poll(ttl: Duration, numbers: Int) {
    let deadline = store.clock.now + min(operationTimeout, ttl)
    guarded.withLock {
      $0.ttl = ttl
      $0.state.willPoll(ttl: ttl, deadline: deadline)
    }
    store.poll(
      claim(ttl: ttl), numbers: numbers,
      lapse: PlaceState.lapse(ttl: ttl, operationTimeout: operationTimeout), by: deadline
    ) { [self] answer in
      let isTold = store.isTold
      let hasMissed = change { state in
        var generator = SystemRandomNumberGenerator()
        state.answered(answer, isTold: isTold, at: store.clock.now, using: &generator)
        return state.hasMissedGrant
      }
      if hasMissed { store.noteUntoldGrant(of: token) }
    }
  }

  /// Waits until an instant, until something has arrived, or until the task is cancelled.
  ///
  /// `seen` is what there was to wait for; by now it may be something else.
  func wait(
    for seen: PlaceState.Action, until instant: Instant, wakingBy extender: Extender
  ) async throws(CancellationError) {
    let promise = Promise<Bool>()
    let hasNews = guarded.withLock { guarded in
      guarded.pause = promise
      return guarded.state.next(at: store.clock.now) != seen
    }
    if hasNews { return }
    extender.wake(promise, at: instant)
    try await promise.wait(countedBy: store.clock.activity)
  }

  /// Gives the place up for good.
  func cancel() {
    let ttl = guarded.withLock { $0.ttl }
    store.cancel(
      claim(ttl: ttl), lapse: PlaceState.lapse(ttl: ttl, operationTimeout: operationTimeout))
  }

  private func receive(_ notice: Notice) {
    change { state in
      switch notice {
      case .granted(let numbers): state.granted(numbers, at: store.clock.now)
      case .mayHaveMissed: state.hurry(at: store.clock.now)
      }
    }
  }

  /// Lets an event into the state, and wakes the task that looks after the place.
  private func change<Result: Sendable>(_ event: (inout PlaceState) -> Result) -> Result {
    let (result, pause) = guarded.withLock { guarded in
      (event(&guarded.state), guarded.pause.take())
    }
    pause?.fulfil(true)
    return result
  }
}
