import AsyncRedisLock
import FaultProxy
import PrivateRedis
import Testing

/// The operation under way when a message is spoilt.
enum SweepOperation: String, CaseIterable, Sendable {
  case acquire
  case acquireSeveral = "acquire several keys"
  case poll
  case grant
  case cancel
  case extend
  case extendInBackground = "extend in the background"
  case release
  case keep = "release before minHold is over"
  case adopt = "take over"

  /// How many runs take place at once: more if most of the time is spent on waiting for the end of a ttl.
  ///
  /// Not many more: lockers that overload a processor get no answer within their short operation timeout, and all of
  /// them try again, over new connections.
  func width(isEncrypted: Bool) -> Int { self == .adopt && !isEncrypted ? 36 : 24 }

  /// Whether a message belongs to the operation.
  func concerns(_ message: FaultProxy.Message) -> Bool {
    switch self {
    case .acquire: ["SET", "INCR", "GETRANGE"].contains(message.command?.name)
    // A published message does not answer a command.
    case .grant: message.direction == .replies && message.command == nil
    default: ["EVALSHA", "EVAL"].contains(message.command?.name)
    }
  }

  /// Whether a record of TLS may belong to the operation, or to another that the locker has begun meanwhile.
  func concernsRecord(_ message: FaultProxy.Message) -> Bool {
    guard MessageSplitter.isApplicationRecord(message.bytes) else { return false }
    // The inbox has the second connection.
    return self == .grant
      ? message.direction == .replies && message.connection == 1 : message.connection == 0
  }

  /// Performs the operation once, with a spoilt message on the way; checks the rules that hold in any case.
  func perform(with stage: SweepStage) async throws {
    switch self {
    case .acquire, .acquireSeveral: try await acquire(stage)
    case .poll: try await poll(stage)
    case .grant: try await grant(stage)
    case .cancel: try await cancel(stage)
    case .extend: try await extend(stage)
    case .extendInBackground: try await extendInBackground(stage)
    case .release: try await release(stage)
    case .keep: try await keep(stage)
    case .adopt: try await adopt(stage)
    }
  }

  // MARK: Taking

  private func acquire(_ stage: SweepStage) async throws {
    let keys = self == .acquire ? [stage.key] : [stage.key, stage.key + "-2"]
    stage.arm()
    let attempt = await Attempt { try await stage.locker.acquire(keys, options: stage.options) }
    try await stage.settle(attempt)
  }

  private func adopt(_ stage: SweepStage) async throws {
    // A detached lock that is not adopted ends with its ttl.
    let options = LockOptions(ttl: .seconds(2), extend: nil)
    let check = try await stage.other.acquire(stage.key, options: options).detach()
    stage.arm()
    let attempt = await Attempt { try await stage.locker.adopt(check, options: stage.options) }
    try await stage.settle(attempt)
  }

  private func poll(_ stage: SweepStage) async throws {
    let held = try await stage.other.acquire(stage.key, options: .patient)
    stage.arm()
    let waiting = Task {
      await Attempt { try await stage.locker.acquire(stage.key, options: stage.options) }
    }
    await stage.strike()
    try await held.release()
    try await stage.settle(await waiting.value)
  }

  private func grant(_ stage: SweepStage) async throws {
    let held = try await stage.other.acquire(stage.key, options: .patient)
    let waiting = Task {
      await Attempt { try await stage.locker.acquire(stage.key, options: stage.options) }
    }
    try await stage.awaitEntry()
    stage.arm()
    try await held.release()
    let attempt = await waiting.value
    if attempt.value == nil, !stage.isLate { stage.note("no lock after \(attempt.result)") }
    try await stage.settle(attempt)
  }

  private func cancel(_ stage: SweepStage) async throws {
    let held = try await stage.other.acquire(stage.key, options: .patient)
    let waiting = Task {
      await Attempt { try await stage.locker.acquire(stage.key, options: stage.options) }
    }
    try await stage.awaitEntry()
    stage.arm()
    waiting.cancel()
    let attempt = await waiting.value
    guard case .failure(is CancellationError) = attempt.result else {
      return stage.note("\(attempt.result) after cancellation")
    }
    if attempt.duration > .inTime { stage.note("cancelled after \(attempt.duration)") }
    await stage.strike()
    try await held.release()
  }

  // MARK: Keeping and giving back

  private func extend(_ stage: SweepStage) async throws {
    let lock = try await stage.locker.acquire(stage.key, options: stage.options)
    stage.arm()
    let attempt = await Attempt { try await lock.extend(by: stage.options.ttl * 2) }
    if case .failure(let error) = attempt.result,
      ![.unreachable, .lost].contains(attempt.error?.code)
    {
      stage.note("\(error)")
    }
    try stage.checkAgreement(lock)
    try await stage.giveBack(lock)
  }

  private func extendInBackground(_ stage: SweepStage) async throws {
    var options = stage.options
    options.ttl = min(options.ttl, .milliseconds(600))
    options.extend = options.ttl / 4
    let lock = try await stage.locker.acquire(stage.key, options: options)
    let end = ContinuousClock.now + lock.remaining
    stage.arm()
    // Waits for a further extension, or for the loss.
    while lock.isHeld, !stage.hasStruck || ContinuousClock.now + lock.remaining <= end {
      try stage.checkAgreement(lock)
      if ContinuousClock.now > end + .seconds(10) {
        if stage.hasStruck { stage.note("neither extended nor lost") }
        break
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    try await stage.giveBack(lock)
  }

  private func release(_ stage: SweepStage) async throws {
    let lock = try await stage.locker.acquire(stage.key, options: stage.options)
    stage.arm()
    let attempt = await Attempt { try await lock.release() }
    if lock.isHeld { stage.note("held after its release") }
    switch attempt.result {
    case .success(.released): break
    case .success(let outcome): if !stage.isLate { stage.note("\(outcome)") }
    case .failure(let error): if attempt.error?.code != .unreachable { stage.note("\(error)") }
    }
    try await expectUnharmedSuccessor(stage)
  }

  private func keep(_ stage: SweepStage) async throws {
    var options = stage.options
    options.minHold = .milliseconds(400)
    let start = ContinuousClock.now
    let lock = try await stage.locker.acquire(stage.key, options: options)
    stage.arm()
    let attempt = await Attempt { try await lock.release() }
    if lock.isHeld { stage.note("held after its release") }
    if case .failure(let error) = attempt.result, attempt.error?.code != .unreachable {
      stage.note("\(error)")
    }
    try await expectUnharmedSuccessor(stage)
    let kept = start.duration(to: .now)
    if !stage.isLate, kept < options.minHold { stage.note("free after \(kept)") }
  }

  /// Expects that commands still under way do not harm the next holder.
  private func expectUnharmedSuccessor(_ stage: SweepStage) async throws {
    let options = LockOptions(timeout: .seconds(20), ttl: .seconds(20))
    let next = try await stage.other.acquire(stage.key, options: options)
    await stage.quiet()
    if try stage.value(of: stage.key) != next.token { stage.note("the next holder was harmed") }
    try await next.release()
  }
}
