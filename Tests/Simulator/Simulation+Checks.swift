import AsyncRedisLock

/// Checks for what must never happen, and for what must hold in the end.
extension Simulation {
  /// How long a key may be held without use: until a waiter whose connections fail silently asks again.
  private static let longestUnused: Int64 = 2_500_000_000
  /// How old the server's last confirmation of a lock may be when the lock is handed on: 50 ms and a round trip.
  private static let longestUnconfirmed: Int64 = 60_000_000
  /// How long a cancelled call may go on: some steps.
  var longestCancelling: Int64 { weather.lateSteps > 0 ? 100_000_000 : 20_000_000 }
  /// How long `close()` may take: an operation timeout for giving back, and one for the connection after that.
  private static let longestClosing: Int64 = 400_000_000
  /// How long a call may go on when its time is up, or after a jump of the clock, which timers do not count.
  private var longestOvertime: Int64 { longestCancelling }
  private static let longestOvertimeBehindJump: Int64 = 1_200_000_000

  /// A call that has waited long for a key.
  private func waiter(for key: String) -> Attempt? {
    attempts.first { attempt in
      attempt.waitsFor == key && !attempt.isOver && attempt.heldSince == nil
        && scheduler.now - attempt.start > Self.longestUnused
    }
  }

  /// Looks repeatedly for keys that are held on the server without a lock that relies on them.
  ///
  /// It also looks for keys that are free although a call waits for them.
  func lookForUnusedKeys() {
    let tokens = Set(heldLocks.map(\.token))
    for (index, key) in keys.enumerated() {
      let token = redis.holder(of: index)
      if let token, !tokens.contains(token), !isLeft(token) {
        let since = unused[key].flatMap { $0.token == token ? $0.since : nil } ?? scheduler.now
        unused[key] = (token, since)
        if scheduler.now - since > Self.longestUnused {
          find("\(token) has had key \(key) since \(since / 1000) µs, but no lock relies on it")
        }
      } else if token == nil, let waiting = waiter(for: key) {
        let since = unused[key].flatMap { $0.token == "" ? $0.since : nil } ?? scheduler.now
        unused[key] = ("", since)
        if scheduler.now - since > Self.longestUnused {
          find("key \(key) is free, and process \(waiting.process.id) does not take it")
        }
      } else {
        unused[key] = nil
      }
    }
    scheduler.at(scheduler.now + 50_000_000, of: nil) { [weak self] in
      guard let self, !isOver else { return }
      lookForUnusedKeys()
    }
  }

  var heldLocks: [Lock] {
    holdings.removeAll { $0.lock?.isHeld != true }
    return holdings.compactMap(\.lock)
  }

  /// Checks that each lock relied on is held on the server, so that no two overlap.
  ///
  /// Locks from before the server broke its promise are exempt.
  func checkHolders() {
    for lock in heldLocks where redis.keepsWord(to: lock.token) {
      for key in lock.keys {
        let holder = redis.holder(of: keys.firstIndex(of: key) ?? 0)
        if holder != lock.token {
          find("\(lock.token) relies on key \(key), which is \(holder.map { "\($0)'s" } ?? "free")")
        }
      }
    }
  }

  /// Notes that a call has got its lock.
  func noteHeld(_ lock: Lock, _ attempt: Attempt) {
    attempt.heldSince = scheduler.now
    let fence = lock.fencingToken ?? 0
    scheduler.note("\(lock.token) holds \(lock.keys) with \(fence)")
    guard lock.isHeld else { return }
    counts.held += 1
    for key in lock.keys {
      // If a call asked before the server forgot, it may get its lock after the next holder.
      let known = fences[key, default: []]
      let former = weather.isTrusty ? known.last : known.last { $0.since < attempt.start }
      if let former, fence <= former.number {
        find("fence \(fence) of \(lock.token) follows \(former.number) for \(key)")
      }
      // If the key has a later holder by now, that one's number is higher. Old data may bring a former one back.
      let token = redis.holder(of: keys.firstIndex(of: key) ?? 0)
      if let holder = heldLocks.first(where: { $0.token == token && $0.keys.contains(key) }),
        redis.keepsWord(to: holder.token), let other = holder.fencingToken, other < fence
      {
        find("\(lock.token) has fence \(fence), \(holder.token) holds by \(other)")
      }
      fences[key, default: []].append((scheduler.now, max(fence, known.last?.number ?? 0)))
    }
    if !tokens.insert(lock.token).inserted {
      counts.handedOn += 1
      checkHandOn(lock, of: attempt.process)
    }
    holdings.append(Holding(lock: lock, attempt: attempt))
    checkHolders()
  }

  /// Checks that a lock handed on within a process was confirmed by the server shortly before.
  ///
  /// The check goes by what the server has executed, not by what the process believes. The length of a round trip
  /// is known only where no message is late, and no task.
  private func checkHandOn(_ lock: Lock, of process: SimulatedProcess) {
    // Waiting for a replica belongs to the round trip.
    guard weather.stalls == 0, weather.forces == 0, weather.lateSteps == 0, !weather.acknowledges,
      process.isSteady
    else { return }
    guard let confirmedAt = process.confirmedAt[lock.token] else {
      return find("\(lock.token) is handed on, but the server has never confirmed it")
    }
    let age = scheduler.now - confirmedAt
    if age > Self.longestUnconfirmed {
      find("\(lock.token) is handed on \(age / 1000) µs after the server has confirmed it")
    }
  }

  /// Checks that a call cancelled some time ago has ended, or got its lock in time; it must not wait for a server.
  func checkCancelled(_ attempt: Attempt) {
    if attempt.isWaiting, attempt.process.isSteady {
      find("call \(attempt.number) of process \(attempt.process.id) was cancelled but goes on")
    }
  }

  /// Expects a process to close its locker in time.
  func expectClosed(_ process: SimulatedProcess, hasClosed: @escaping () -> Bool) {
    let start = scheduler.now
    scheduler.at(start + Self.longestClosing, of: nil) { [weak self] in
      guard !hasClosed(), process.isSteady, !process.isDead else { return }
      self?.find("process \(process.id) has been closing its locker since \(start / 1000) µs")
    }
  }

  /// Expects a call to end in time, by the clock of its process.
  func expectEnd(of attempt: Attempt, within patience: Duration) {
    attempt.deadline = attempt.process.time.now + patience
    checkTime(of: attempt)
  }

  /// Checks a call now, when its time is up, and for the last time when it should have ended.
  func checkTime(of attempt: Attempt, isLast: Bool = false) {
    let process = attempt.process
    guard let deadline = attempt.deadline, attempt.isWaiting else { return }
    guard process.stoppedUntil <= attempt.start else { return }
    let left = process.time.now.duration(to: deadline).wholeNanoseconds
    if isLast {
      find("call \(attempt.number) of process \(process.id) goes on although its time is up")
    } else if left > 0 {
      scheduler.at(scheduler.now + left, of: nil) { [weak self] in self?.checkTime(of: attempt) }
    } else {
      let overtime = process.isSteady ? longestOvertime : Self.longestOvertimeBehindJump
      scheduler.at(scheduler.now + overtime, of: nil) { [weak self] in
        self?.checkTime(of: attempt, isLast: true)
      }
    }
  }

  /// Expects the body of a call to be told in time that its lock has ended by the clock of its process, which has
  /// jumped.
  func expectToBeTold(_ attempt: Attempt) {
    let jumpedAt = scheduler.now
    scheduler.at(jumpedAt + Self.longestOvertimeBehindJump, of: nil) { [weak self] in
      guard let self, attempt.isUntold, !attempt.process.isDead,
        attempt.process.stoppedUntil <= jumpedAt
      else { return }
      find("the body of call \(attempt.number) was not told of an end at \(jumpedAt / 1000) µs")
    }
  }

  /// Expects a lock to end when it has been held for as long as its `maxHold` allows, and its holder to be told.
  func expectLimit(of lock: Lock, _ options: LockOptions, _ attempt: Attempt) {
    guard let maxHold = options.maxHold else { return }
    let process = attempt.process
    let longest = maxHold.wholeNanoseconds + longestOvertime
    scheduler.at(scheduler.now + longest, of: nil) { [weak self, weak lock] in
      guard process.isSteady, !process.isDead else { return }
      if !attempt.isOver { self?.scheduler.count(.maxHoldReached) }
      if let lock, lock.isHeld { self?.find("\(lock.token) is held beyond its maxHold") }
      if attempt.isUntold {
        self?.find("the body of call \(attempt.number) was not told that its maxHold is over")
      }
    }
  }

  /// Notes that a lock had ended before its holder released it, which must not happen if it is extended in calm weather.
  func noteEnded(_ lock: Lock, _ options: LockOptions, _ attempt: Attempt) {
    guard weather.isPlain, !weather.acknowledges, options.extend != nil,
      let since = attempt.heldSince,
      !closedLockers.contains(where: lock.token.contains)
    else { return }
    if let maxHold = options.maxHold,
      scheduler.now > since + maxHold.wholeNanoseconds - longestOvertime
    {
      return
    }
    find("\(lock.token) had ended before its release, although it was extended")
  }

  func noteReleased(_ lock: Lock, wasHeld: Bool, _ outcome: ReleaseOutcome) {
    scheduler.note("\(lock.token) released \(lock.keys): \(outcome)")
    if outcome != .released { counts.lost += 1 }
    if wasHeld, weather.isPlain, outcome != .released {
      find("\(lock.token) was held when it was released, but the release returned \(outcome)")
    }
  }

  /// Notes that a call has failed; only some errors are allowed.
  func noteFailure(_ error: any Error, of process: SimulatedProcess) {
    scheduler.note(
      "a call of process \(process.id) fails: \((error as? LockError)?.code.description ?? "\(error)")"
    )
    switch error {
    case is CancellationError: break
    case let error as LockError:
      if error.code == .lost { counts.lost += 1 }
      // The errors that are allowed for a call whose locker was closed during it.
      let isClosed = error.code == .closed && weather.closes
      let lacksReplica =
        error.code == .refused && error.serverCode == "NOREPLICAS" && weather.acknowledges
      if !isClosed, !lacksReplica,
        ![.timeout, .lost, .unreachable, .wouldDeadlock].contains(error.code)
      {
        find("a call fails: \(error)")
      }
    default: find("a call fails: \(error)")
    }
  }

  /// Whether the keys and entries of a token may stay until they expire.
  ///
  /// A detached lock is left to its adopter, and what a locker cannot give back within its operation timeout when it
  /// is closed is left to the server.
  private func isLeft(_ token: String) -> Bool {
    detachedTokens.contains(token)
      || (weather.stalls > 0 || weather.breaks > 0)
        && closedLockers.contains(where: token.contains)
  }

  func checkEnd() {
    // A key that was left to an adopter lasts longer by all that the server's clock is set back.
    let left = keys.indices.filter {
      weather.jumpsBack && redis.holder(of: $0).map(detachedTokens.contains) == true
    }.map { keys[$0] }
    if let waiting = attempts.first(where: {
      !$0.isOver && !$0.process.isDead && !left.contains($0.waitsFor ?? "")
    }) {
      find("a call has run since \(waiting.start / 1000) µs, held since \(waiting.heldSince ?? 0)")
    }
    // A key or entry that arrives too late to be undone ends by the server's clock, or later if that is set back.
    guard weather.isFair, weather.isPlain || !weather.jumpsBack else { return }
    for (index, key) in keys.enumerated() where !left.contains(key) {
      if let token = redis.holder(of: index), !isLeft(token) {
        find("\(token) is left in key \(key)")
      }
      if let token = redis.firstWaiter(of: index), !isLeft(token) {
        find("\(token) is left in the queue of key \(key)")
      }
    }
  }
}
