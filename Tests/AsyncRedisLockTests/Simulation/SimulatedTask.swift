@testable import AsyncRedisLock

/// A task that takes locks one after the other, holds them and gives them back; it asks as
/// ``Coordinator`` does.
final class SimulatedTask {
  private let locker: SimulatedLocker
  private let world: Simulation
  private var keys: [Int] = []
  private var options = LockOptions()
  private var plan: AcquireState
  private var token = 0
  private var question: SimulatedRequest?
  private var place: SimulatedEntry?
  private var lease: SimulatedLease?
  /// Counts the steps, so that what belongs to a former one is noticed.
  private var step = 0
  /// Whether an acquisition is under way, and since when.
  private(set) var asksSince: Int64?

  var isAlive: Bool { !locker.isDead }

  init(of locker: SimulatedLocker) {
    self.locker = locker
    world = locker.world
    plan = AcquireState(
      keys: [], options: options, waits: true, operationTimeout: .zero, now: locker.now)
    rest()
  }

  /// Lets go of everything, at the end.
  func takeApart() {
    (question, place, lease) = (nil, nil, nil)
    locker.takeApart()
  }

  private func rest() {
    place = nil
    lease = nil
    question = nil
    asksSince = nil
    step += 1
    guard world.isOpen else { return }
    let pause = world.happens(300) ? 100 : world.pick(300_000)
    locker.at(world.now + Int64(pause)) { [self] in begin() }
  }

  // MARK: Asking

  private func begin() {
    guard world.isOpen else { return }
    draw()
    token = 0
    asksSince = world.now
    plan = AcquireState(
      keys: [], options: options, waits: world.happens(900),
      operationTimeout: .microseconds(SimulatedLocker.operationTimeout), now: locker.now)
    perform(world.happens(300) ? .queue : plan.next(at: locker.now))
    guard world.happens(100) else { return }
    after(Int64(world.pick(400_000))) { [self] in cancel() }
  }

  private func draw() {
    let first = world.pick(world.keyCount)
    keys = [first]
    let second = world.pick(world.keyCount)
    if second != first, world.happens(world.weather.pairs) { keys = [first, second].sorted() }
    options = LockOptions(
      retry: .milliseconds(20 + world.pick(100)),
      timeout: world.happens(500) ? nil : .milliseconds(50 + world.pick(1000)),
      ttl: .milliseconds(world.weather.shortestTTL + world.pick(500)), extend: nil)
    if world.happens(800) { options.extend = options.ttl / (2 + world.pick(2)) }
  }

  /// Does something later, unless the task is at another step by then.
  private func after(_ delay: Int64, _ action: @escaping () -> Void) {
    let step = step
    locker.at(world.now + delay) { [self] in if self.step == step { action() } }
  }

  private func wake(at instant: Instant, _ action: @escaping () -> Void) {
    after(max(locker.time(of: instant) - world.now, 0), action)
  }

  private func perform(_ action: AcquireState.Action) {
    step += 1
    switch action {
    case .ask(let isFirst, let deadline): ask(isFirst, by: deadline)
    case .queue: queue()
    case .pause(let instant):
      if plan.wantsToQueue { locker.openInbox() }
      wake(at: instant) { [self] in
        perform(plan.wantsToQueue && locker.inbox == .ready ? .queue : plan.next(at: locker.now))
      }
    case .take(let sentAt, let numbers):
      hold(token, numbers, LeaseState(ttl: options.ttl, extend: options.extend, sentAt: sentAt))
    case .giveBack:
      locker.submit(locker.cleanUp(keys, token, until: world.now + ttl * 1000))
      perform(
        plan.gaveBack(at: locker.now, roundTrip: .milliseconds(1), using: &world.generator))
    case .leave, .fail, .cancel: giveUp()
    }
  }

  private var ttl: Int64 { options.ttl.wholeMilliseconds }

  /// How many fencing tokens to draw: more than one, if others of the process wait.
  private var numbersWanted: Int { world.happens(300) ? 3 : 1 }

  private func ask(_ isFirst: Bool, by deadline: Instant) {
    token = locker.makeToken()
    let numbers = numbersWanted
    let isQuick = isFirst && keys.count == 1 && numbers == 1
    send(
      isQuick
        ? .take(key: keys[0], token: token, ttl: ttl)
        : .acquire(keys: keys, token: token, ttl: ttl, numbers: numbers),
      by: deadline
    ) { [self] answer, sentAt in
      let drawn: Range<UInt64>
      switch answer {
      case .taken(true, let number, let value):
        guard value == token else {
          locker.submit(locker.cleanUp(keys, token, until: world.now + ttl * 1000))
          return conclude(.contended(KeyState(holder: value.map(String.init), remaining: nil)))
        }
        drawn = number..<number + 1
      case .taken(false, _, let value):
        return conclude(.contended(KeyState(holder: value.map(String.init), remaining: nil)))
      case .acquired(let first): drawn = first..<first + UInt64(numbers)
      case .contended(let remaining):
        return conclude(
          .contended(KeyState(holder: "", remaining: remaining.map { .milliseconds($0) })))
      default: return fail()
      }
      if locker.fences.accept(drawn) {
        conclude(.held(sentAt: sentAt, numbers: drawn))
      } else {
        drawNumber(sentAt, by: deadline)
      }
    }
  }

  /// Sends a question that takes the keys; what is not answered is taken back.
  private func send(
    _ question: Question, by deadline: Instant,
    completion: @escaping (SimulatedAnswer?, Instant) -> Void
  ) {
    let (keys, token, ttl) = (keys, token, ttl)
    let request = SimulatedRequest(
      question, deadline: locker.time(of: deadline),
      undo: { [locker, world] in
        locker.cleanUp(keys, token, until: world.now + ttl * 1000)
      }
    ) { [self] answer, sentAt in
      self.question = nil
      completion(answer, sentAt)
    }
    self.question = request
    locker.submit(request)
  }

  /// Raises the counter and draws again, because the number cannot be used.
  private func drawNumber(_ sentAt: Instant, by deadline: Instant) {
    send(.raise(seen: locker.fences.largest, keys: keys, token: token), by: deadline) {
      [self] answer, _ in
      switch answer {
      case .raised(let number?):
        guard locker.fences.accept(number, isRaised: true) else {
          return drawNumber(sentAt, by: deadline)
        }
        conclude(.held(sentAt: sentAt, numbers: number..<number + 1))
      case .raised(nil):
        locker.submit(locker.cleanUp(keys, token, until: world.now + ttl * 1000))
        conclude(.contended(KeyState(holder: nil, remaining: nil)))
      default: fail()
      }
    }
  }

  private func conclude(_ acquisition: Acquisition) {
    perform(plan.answered(acquisition, at: locker.now))
  }

  private func fail(_ failure: StoreFailure = .unreachable("no answer")) {
    guard asksSince != nil else { return }
    perform(
      plan.failed(
        failure, at: locker.now, roundTrip: .milliseconds(1), using: &world.generator))
  }

  // MARK: Queueing

  private func queue() {
    guard let place = place ?? makePlace() else { return }
    switch place.next() {
    case .take(let sentAt, let takenTTL, let numbers):
      self.place = nil
      hold(
        place.token, numbers,
        LeaseState(
          ttl: options.ttl, extend: options.extend, sentAt: sentAt, takenFor: takenTTL),
        wasHandedOver: true)
    case .giveUp(let failure):
      self.place = nil
      place.cancel()
      fail(failure)
    case .poll:
      if plan.timeUp(at: locker.now) != nil { return giveUp() }
      // Its answer, or whatever else arrives, goes on.
      place.poll(options.ttl, numbers: numbersWanted)
      wait(for: place)
    case .wait, .rest: wait(for: place)
    }
  }

  private func wait(for place: SimulatedEntry) {
    if plan.timeUp(at: locker.now) != nil { return giveUp() }
    guard case .wait(let instant) = place.next() else { return perform(.queue) }
    let (until, asksThen) = plan.wait(
      until: instant, at: locker.now, roundTrip: .milliseconds(1))
    wake(at: until) { [self] in if asksThen { place.hurry() } else { perform(.queue) } }
  }

  /// The place; without an inbox the task asks again, and goes on by itself.
  private func makePlace() -> SimulatedEntry? {
    guard locker.inbox == .ready else {
      locker.openInbox()
      perform(
        plan.cannotQueue(at: locker.now, roundTrip: .milliseconds(1), using: &world.generator))
      return nil
    }
    let place = SimulatedEntry(keys, options, locker) { [self] in
      if self.place != nil { after(0) { [self] in perform(.queue) } }
    }
    self.place = place
    return place
  }

  private func giveUp() {
    place?.cancel()
    rest()
  }

  private func cancel() {
    guard asksSince != nil, lease == nil else { return }
    let question = question
    asksSince = nil
    step += 1
    if let question { locker.abandon(question) }
    giveUp()
  }

  // MARK: Holding

  private func hold(
    _ token: Int, _ numbers: Range<UInt64>, _ state: LeaseState, wasHandedOver: Bool = false
  ) {
    let askedAt = asksSince ?? world.now
    asksSince = nil
    step += 1
    go(
      on: SimulatedLease(
        keys, token, numbers, state, in: locker, askedAt: askedAt, wasHandedOver: wasHandedOver,
        onLoss: { [self] in lost() }))
  }

  private func go(on lease: SimulatedLease) {
    self.lease = lease
    step += 1
    let time = world.isOpen ? Int64(world.pick(world.happens(100) ? 2_000_000 : 30_000)) : 1000
    after(time) { [self] in end(lease) }
    if world.happens(100) {
      after(time / 2) { [options] in lease.prolong(by: options.ttl * 3) }
    }
  }

  private func lost() { after(1000) { [self] in if let lease { end(lease, handsOn: false) } } }

  private func end(_ lease: SimulatedLease, handsOn: Bool = true) {
    step += 1
    if handsOn, world.happens(500),
      let next = lease.handOn(to: options, onLoss: { [self] in lost() })
    {
      return go(on: next)
    }
    self.lease = nil
    token = 0
    lease.release { [self] in rest() }
  }
}
