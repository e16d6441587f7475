@testable import AsyncRedisLock
import AsyncRedisLockTesting

/// A place in the server's queue, as ``QueueEntry`` is in the library.
final class SimulatedEntry {
  let token: Int
  let keys: [Int]
  private let locker: SimulatedLocker
  private var state: QueueEntryState
  private var ttl: Duration
  private var question: SimulatedRequest?
  /// The task that waits, and is woken by whatever arrives.
  private let wake: () -> Void

  init(
    _ keys: [Int], _ options: LockOptions, _ locker: SimulatedLocker, wake: @escaping () -> Void
  ) {
    self.keys = keys
    self.locker = locker
    self.wake = wake
    token = locker.makeToken()
    state = QueueEntryState(retry: options.retry, at: locker.now)
    ttl = options.ttl
    locker.places[token] = self
  }

  func next() -> QueueEntryState.Action { state.next(at: locker.now) }

  func hurry() {
    state.hurry(at: locker.now)
    wake()
  }

  func granted(_ numbers: Range<UInt64>) {
    locker.world.count(\.granted)
    state.granted(numbers, at: locker.now)
    wake()
  }

  func poll(_ ttl: Duration, numbers: Int) {
    self.ttl = ttl
    let world = locker.world
    let patience = min(SimulatedLocker.operationTimeout, ttl.wholeMilliseconds * 1000)
    state.willPoll(ttl: ttl, deadline: locker.now + .microseconds(patience))
    let raises = !locker.fences.isRaised
    let end = world.now + patience + life
    let request = SimulatedRequest(
      .poll(
        keys: keys, token: token, ttl: ttl.wholeMilliseconds, lapse: lapse, numbers: numbers,
        seen: locker.fences.largest, raises: raises),
      deadline: world.now + patience,
      undo: { [self] in locker.cleanUp(keys, token, until: end) }
    ) { [self] answer, sentAt in
      question = nil
      state.answered(
        read(answer, sentAt, numbers, raises), isTold: locker.inbox == .ready, at: locker.now,
        using: &world.generator)
      if state.hasMissedGrant {
        world.count(\.missedGrants)
        locker.reconnectInbox()
      }
      wake()
    }
    question = request
    locker.submit(request)
  }

  /// Gives the place up for good.
  func cancel() {
    locker.places[token] = nil
    if let question { locker.abandon(question) }
    locker.submit(locker.cleanUp(keys, token, until: locker.world.now + life))
  }

  /// For how long the server keeps the place, in ms.
  private var lapse: Int64 {
    QueueEntryState.lapse(
      ttl: ttl, operationTimeout: .microseconds(SimulatedLocker.operationTimeout)
    ).wholeMilliseconds
  }

  /// For how long something of the place can be on the server, in µs.
  private var life: Int64 { (lapse + ttl.wholeMilliseconds) * 1000 }

  private func read(
    _ answer: SimulatedAnswer?, _ sentAt: Instant, _ numbers: Int, _ raises: Bool
  ) -> Result<PollAnswer, StoreFailure> {
    switch answer {
    case .poll(.taken(let first, let wasGranted)):
      let drawn = first..<first + UInt64(numbers)
      guard locker.fences.accept(drawn, isRaised: raises) else { return .success(.again) }
      return .success(.held(sentAt: sentAt, numbers: drawn, wasGranted: wasGranted))
    case .poll(.wait(let counter, let holder, let remaining, let isSilent, let isHeard)):
      let state = KeyState(
        holder: holder.map(String.init), remaining: remaining.map { .milliseconds($0) })
      return .success(
        .waiting(
          Waiting(
            sentAt: sentAt, counter: counter, state: state, isSilent: isSilent, isHeard: isHeard)))
    default:
      return .failure(.unreachable("no answer"))
    }
  }
}
