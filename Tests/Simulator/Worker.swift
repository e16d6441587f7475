import AsyncRedisLock

/// A task that takes locks one after another, in every way the library offers, holds them and gives them back.
// Unchecked: one thread runs a simulation.
final class Worker: @unchecked Sendable {
  private enum Way: CaseIterable { case acquire, withLock, ifAvailable, drop, extend, detach }

  private let process: SimulatedProcess
  private let locker: Locker
  private unowned let world: Simulation

  init(of process: SimulatedProcess, with locker: Locker, in world: Simulation) {
    self.process = process
    self.locker = locker
    self.world = world
  }

  private var scheduler: Scheduler { process.scheduler }

  private func pick(_ count: Int) -> Int { scheduler.pick(count) }

  /// Takes a lock and gives it back, or is cancelled on the way.
  func takeLock() async {
    let (keys, options) = (drawKeys(), drawOptions())
    let way = Way.allCases[pick(Way.allCases.count)]
    let attempt = Attempt(
      world.attempts.count, of: process, at: scheduler.now,
      waitsFor: way == .ifAvailable ? nil : keys[0])
    world.attempts.append(attempt)
    scheduler.note(
      "call \(attempt.number) of process \(process.id), \(locker.id), wants \(keys) by \(way): \(options)"
    )
    let task = Task {
      world.watch(attempt)
      try await take(keys, options, way, attempt)
    }
    attempt.task = task
    world.pass(attempt)
    let patience = way == .ifAvailable ? world.configuration.operationTimeout : options.timeout
    if let patience { world.expectEnd(of: attempt, within: patience) }
    if scheduler.happens(150) {
      let patience = Int64(pick(scheduler.happens(500) ? 2_000_000 : 400_000_000))
      scheduler.at(scheduler.now + patience, of: process) { [unowned world] in
        world.cancel(attempt)
      }
    }
    do {
      try await task.value
    } catch {
      world.noteFailure(error, of: process)
    }
    world.forget(attempt)
  }

  private func drawKeys() -> [String] {
    let first = pick(world.keys.count)
    let second = pick(world.keys.count)
    guard second != first, scheduler.happens(world.weather.pairs) else {
      return [world.keys[first]]
    }
    return [world.keys[first], world.keys[second]]
  }

  private func drawOptions() -> LockOptions {
    var options = LockOptions(
      // A long retry does not delay a waiter that is told of grants.
      retry: .milliseconds(scheduler.happens(300) ? 20_000 : 20 + pick(100)),
      timeout: scheduler.happens(500)
        ? nil : .milliseconds(50 + pick(scheduler.happens(200) ? 5000 : 1000)),
      ttl: .milliseconds(world.weather.shortestTTL + pick(500)), extend: nil)
    if scheduler.happens(800) { options.extend = options.ttl / (2 + pick(2)) }
    if scheduler.happens(50) { options.minHold = .milliseconds(pick(50)) }
    if scheduler.happens(world.weather.limits) {
      let longest = Int(2 * (options.ttl / .milliseconds(1)))
      options.maxHold = max(.milliseconds(30 + pick(longest)), options.minHold)
    }
    if scheduler.happens(world.weather.hasty) { options.timeout = .milliseconds(1 + pick(6)) }
    return options
  }

  private func take(
    _ keys: [String], _ options: LockOptions, _ way: Way, _ attempt: Attempt
  ) async throws {
    switch way {
    case .withLock:
      try await locker.withLock(keys, options: options) { lock in
        world.noteHeld(lock, attempt)
        world.expectLimit(of: lock, options, attempt)
        attempt.isUntold = true
        await withTaskCancellationHandler {
          await hold()
        } onCancel: {
          attempt.isUntold = false
        }
        attempt.isUntold = false
      }
    case .ifAvailable:
      guard let lock = try await locker.acquireIfAvailable(keys, options: options) else { return }
      world.noteHeld(lock, attempt)
      world.expectLimit(of: lock, options, attempt)
      await hold()
      try await release(lock, options, attempt)
    case .acquire, .drop, .extend, .detach:
      let lock = try await locker.acquire(keys, options: options)
      world.noteHeld(lock, attempt)
      world.expectLimit(of: lock, options, attempt)
      await hold()
      switch way {
      case .drop: return
      case .extend:
        try? await lock.extend(by: options.ttl * 3)
        await hold()
        try await release(lock, options, attempt)
      case .detach where scheduler.happens(300):
        world.detachedTokens.insert(lock.token)
        let detached = try await lock.detach()
        let adopted = try await locker.adopt(detached, options: options)
        world.noteHeld(adopted, attempt)
        try await release(adopted, options, attempt)
      default: try await release(lock, options, attempt)
      }
    }
  }

  private func hold() async {
    let usual = world.weather.hasty > 0 ? 1_000_000 : 30_000_000
    let longest = scheduler.happens(100) ? 2_000_000_000 : usual
    await process.pause(world.isOpen ? Int64(pick(longest)) : 1_000_000)
  }

  private func release(
    _ lock: Lock, _ options: LockOptions, _ attempt: Attempt
  ) async throws {
    let wasHeld = lock.isHeld
    if !wasHeld { world.noteEnded(lock, options, attempt) }
    let outcome = try await lock.release()
    world.noteReleased(lock, wasHeld: wasHeld, outcome)
  }
}
