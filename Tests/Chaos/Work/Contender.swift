import AsyncRedisLock
import ChaosLog
import Foundation

/// A task that takes locks over and over, in every way the library offers.
struct Contender {
  let task: Int
  let order: WorkerOrder
  let log: ChaosLog
  var generator: SplitMix

  /// Tries to take one lock.
  mutating func turn(_ session: Session) async {
    let keys = drawKeys()
    switch Int.random(in: 0..<100, using: &generator) {
    case ..<45: await useHandle(keys, session)
    case ..<65: await useScope(keys, session)
    case ..<75: await askOnce(keys, session)
    case ..<87: await askAndCancel(keys, session)
    case ..<93: await useHandle(keys, session, isDropped: true)
    default: await useHandle(keys, session, isProlonged: true)
    }
  }

  private mutating func drawKeys() -> [Int] {
    let first = Int.random(in: 0..<order.keys, using: &generator)
    guard Int.random(in: 0..<12, using: &generator) == 0 else { return [first] }
    return [first, (first + Int.random(in: 1..<order.keys, using: &generator)) % order.keys]
  }

  /// Most locks are extended; some are too short-lived for that.
  private mutating func drawOptions(_ timeout: Duration?) -> LockOptions {
    var options = order.options(timeout: timeout)
    if Int.random(in: 0..<10, using: &generator) == 0 {
      options.ttl = options.ttl / 3
      options.extend = nil
    }
    return options
  }

  private func begin(
    _ keys: [Int], _ session: Session, waits: Bool = true, limit: Duration?
  ) async -> Holding? {
    let holding = Holding(
      task: task, keys: keys, waits: waits, limit: limit, session, log)
    // If the log is full, the parent reports that.
    if holding == nil { try? await Task.sleep(for: .milliseconds(100)) }
    return holding
  }

  private func names(_ keys: [Int]) -> [String] { keys.map { "\(order.keyPrefix)\($0)" } }

  // MARK: Ways

  private mutating func useHandle(
    _ keys: [Int], _ session: Session, isDropped: Bool = false, isProlonged: Bool = false
  ) async {
    let timeout = Duration.milliseconds(Int.random(in: 50...4000, using: &generator))
    let options = drawOptions(timeout)
    guard let holding = await begin(keys, session, limit: timeout) else { return }
    do {
      let lock = try await session.locker.acquire(names(keys), options: options)
      holding.begin(lock)
      if isProlonged { try? await lock.extend(by: order.options(timeout: nil).ttl * 2) }
      await work(holding, lock)
      if isDropped {
        withExtendedLifetime(lock) { holding.beginRelease() }
        holding.endRelease(.released)
      } else {
        await release(lock, holding)
      }
    } catch {
      await fail(holding, error)
    }
  }

  private mutating func useScope(_ keys: [Int], _ session: Session) async {
    let timeout = Duration.milliseconds(Int.random(in: 50...4000, using: &generator))
    let options = drawOptions(timeout)
    guard let holding = await begin(keys, session, limit: timeout) else { return }
    var held: Lock?
    do {
      try await session.locker.withLock(names(keys), options: options) { lock in
        held = lock
        holding.begin(lock)
        await work(holding, lock)
        holding.beginRelease()
      }
      holding.endRelease(.released)
    } catch {
      guard let held else { return await fail(holding, error) }
      holding.noteLoss(of: held)
      // If the lock tells no reason for its loss, the release found it. Otherwise the locker was closed.
      let isFoundOut = (error as? LockError)?.code == .lost && held.lossReason == nil
      holding.endRelease(isFoundOut ? .expired : .released)
    }
  }

  private mutating func askOnce(_ keys: [Int], _ session: Session) async {
    let options = drawOptions(nil)
    let limit = Duration.milliseconds(order.timing.operationTimeout)
    guard let holding = await begin(keys, session, waits: false, limit: limit) else { return }
    do {
      if let lock = try await session.locker.acquireIfAvailable(names(keys), options: options) {
        holding.begin(lock)
        await work(holding, lock)
        await release(lock, holding)
      } else {
        holding.fail(.unavailable)
        try? await Task.sleep(for: .milliseconds(5))
      }
    } catch {
      await fail(holding, error)
    }
  }

  private mutating func askAndCancel(_ keys: [Int], _ session: Session) async {
    let options = drawOptions(nil)
    let patience = Duration.milliseconds(Int.random(in: 0...1500, using: &generator))
    guard let holding = await begin(keys, session, limit: nil) else { return }
    let names = names(keys)
    let call = Task { try await session.locker.acquire(names, options: options) }
    let canceller = Task {
      try await Task.sleep(for: patience)
      holding.set(.deadline, to: LogClock.now)
      call.cancel()
    }
    do {
      let lock = try await call.value
      canceller.cancel()
      holding.begin(lock)
      await work(holding, lock)
      await release(lock, holding)
    } catch {
      canceller.cancel()
      await fail(holding, error)
    }
  }

  // MARK: Ends

  private func release(_ lock: Lock, _ holding: Holding) async {
    holding.noteLoss(of: lock)
    holding.beginRelease()
    do {
      holding.endRelease(try await lock.release().logged)
    } catch {
      holding.endRelease(.unanswered)
    }
  }

  private func fail(_ holding: Holding, _ error: any Error) async {
    guard let outcome = Record.Outcome(error) else {
      fatalError("an error that no trouble explains: \(error)")
    }
    holding.fail(outcome)
    if outcome != .timeout { try? await Task.sleep(for: .milliseconds(10)) }
  }

  // MARK: While it is held

  private mutating func work(_ holding: Holding, _ lock: Lock) async {
    for (key, slot) in zip(holding.keys, holding.slots) {
      await update(key, slot, holding, lock)
    }
    // Holds the lock now and then for so long that it needs extensions.
    guard Int.random(in: 0..<order.shortHoldings, using: &generator) == 0 else { return }
    let milliseconds = Int.random(in: 50...order.timing.ttl * 3 / 2, using: &generator)
    let end = LogClock.now + .milliseconds(milliseconds)
    while LogClock.now < end, !log.isEnding, holding.check(lock) {
      try? await Task.sleep(for: .milliseconds(10))
    }
  }

  /// Checks, reads, thinks and writes, for both the register that checks fences and the one that does not.
  private mutating func update(
    _ key: Int, _ slot: Int, _ holding: Holding, _ lock: Lock
  ) async {
    let fence = lock.fencingToken ?? 0
    log.addTasksInWindow(1, of: order.lane)
    defer { log.addTasksInWindow(-1, of: order.lane) }
    guard holding.check(lock) else { return }
    let guarded = log.read(register: key, fence: fence)
    let twin = log.twin(key)
    try? await Task.sleep(for: .milliseconds(Int.random(in: 0...4, using: &generator)))
    log.set(.twin, of: slot, to: Record.Write.begun.rawValue)
    log.setTwin(key, to: twin + 1)
    log.set(.twin, of: slot, to: Record.Write.done.rawValue)
    log.set(.guarded, of: slot, to: Record.Write.begun.rawValue)
    let isAccepted = guarded.map { log.write($0 + 1, register: key, fence: fence) } ?? false
    log.set(
      .guarded, of: slot, to: (isAccepted ? Record.Write.done : Record.Write.refused).rawValue)
    _ = holding.check(lock)
  }
}
