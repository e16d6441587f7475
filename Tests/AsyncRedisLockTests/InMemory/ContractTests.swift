import AsyncRedisLock
import Testing

/// Tests the rules for locks in each store.
@Suite("The contract", .timeLimit(.minutes(2)), .redisServer())
struct ContractTests {
  /// On a busy machine, a process may not run for some hundred milliseconds.
  private let brief = LockOptions(ttl: .seconds(1), extend: .milliseconds(50))
  private let unextended = LockOptions(ttl: .milliseconds(200), extend: nil)
  private let patient = LockOptions(timeout: nil)

  @Test(
    "In each store, a lock keeps others out until its release",
    arguments: ContractStore.allCases)
  func excludes(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker { $0.label = "first" }, stage.locker())
    let lock = try await first.acquire(key)
    #expect(lock.isHeld && lock.keys == [key] && lock.remaining > .seconds(2))
    #expect(try await second.acquireIfAvailable(key) == nil)
    let status = try #require(try await second.inspect(key))
    #expect(status.holder.value == lock.token && status.holder.label == "first")
    #expect(try #require(status.remaining) <= .seconds(3) && status.waiterCount == 0)

    #expect(try await lock.release() == .released)
    #expect(!lock.isHeld && lock.lossReason == nil)
    #expect(try await second.inspect(key) == nil)
    let next = try #require(try await second.acquireIfAvailable(key))
    #expect(try #require(next.fencingToken) > (try #require(lock.fencingToken)))
    #expect(next.token != lock.token)
  }

  @Test(
    "In each store, a lock goes to the task that has waited longest",
    arguments: ContractStore.allCases)
  func order(store: ContractStore) async throws {
    let (stage, key, order) = (ContractStage(store), uniqueKey(), Recorder<Int>())
    let holder = try await stage.locker()
    let lock = try await holder.acquire(key)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...3 {
        let locker = try await stage.locker()
        group.addTask {
          try await locker.withLock(key, options: patient) { _ in order.record(number) }
        }
        await eventually { try await holder.inspect(key)?.waiterCount == number }
      }
      #expect(order.values.isEmpty)
      try await lock.release()
      try await group.waitForAll()
    }
    #expect(order.values == [1, 2, 3])
    #expect(try await holder.inspect(key) == nil)
  }

  @Test("In each store, a lock never has two holders", arguments: ContractStore.allCases)
  func crowd(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (inside, fences) = (Shared(0), Recorder<UInt64>())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        let locker = try await stage.locker()
        for _ in 0..<20 {
          group.addTask {
            try await locker.withLock(key, options: patient) { lock in
              #expect(inside.value == 0)
              inside.value = 1
              fences.record(try #require(lock.fencingToken))
              await Task.yield()
              inside.value = 0
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(fences.values.count == 60)
    #expect(zip(fences.values, fences.values.dropFirst()).allSatisfy(<))
  }

  @Test(
    "A timeout tells how long the caller waited, and for which holder",
    arguments: ContractStore.allCases)
  func timeout(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let lock = try await first.acquire(key)
    let waiting = Task {
      await Attempt {
        try await second.acquire(key, options: LockOptions(timeout: .milliseconds(100)))
      }
    }
    await eventually { try await first.inspect(key)?.waiterCount == 1 }
    try await stage.pass(.milliseconds(100))
    let error = try #require(await waiting.value.error)
    #expect(error.code == .timeout && error.holder?.value == lock.token)
    #expect(try #require(error.waited) >= .milliseconds(100))
    #expect(lock.isHeld)
    await eventually { try await first.inspect(key)?.waiterCount == 0 }
  }

  @Test(
    "In each store, a lock that is not extended ends with its ttl",
    arguments: ContractStore.allCases)
  func expiry(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let lock = try await first.acquire(key, options: unextended)
    async let isLost: Void = lock.waitUntilLost()
    try await stage.pass(.milliseconds(210))
    try await isLost
    #expect(lock.lossReason == .expired && !lock.isHeld && lock.remaining == .zero)
    #expect(try await second.inspect(key) == nil)
    let next = try #require(try await second.acquireIfAvailable(key))
    #expect(try await lock.release() == .takenByAnother)
    #expect(next.isHeld)
    let extending = await Attempt { try await lock.extend(by: .seconds(1)) }
    #expect(extending.error?.code == .lost && extending.error?.isRetryable == false)
  }

  @Test("In each store, a lock is extended past its ttl", arguments: ContractStore.allCases)
  func extending(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let lock = try await first.acquire(key, options: brief)
    for _ in 0..<5 {
      try await stage.pass(.milliseconds(500))
      #expect(try await second.acquireIfAvailable(key) == nil)
    }
    #expect(lock.isHeld)
    try await lock.extend(by: .seconds(60))
    #expect(lock.remaining > .seconds(50))
    #expect(try #require(try await second.inspect(key)?.remaining) > .seconds(50))
  }

  @Test(
    "In each store, a locker takes several keys or none", arguments: ContractStore.allCases
  )
  func several(store: ContractStore) async throws {
    let stage = ContractStage(store)
    let (first, second) = try await (stage.locker(), stage.locker())
    let (one, two) = (uniqueKey("a"), uniqueKey("b"))
    let lock = try await first.acquire(two)
    #expect(try await second.acquireIfAvailable([one, two]) == nil)
    #expect(try await second.inspect(one) == nil)
    let both = Task { try await second.acquire(two, one, options: patient) }
    await eventually { try await first.inspect(two)?.waiterCount == 1 }
    try await lock.release()
    #expect(try await both.value.keys == [one, two].sorted())
    #expect(try await first.acquireIfAvailable(one) == nil)
  }

  @Test(
    "If a lock is released by force, its holder learns of it", arguments: ContractStore.allCases)
  func forced(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let attempt = await Attempt {
      try await first.withLock(key, options: brief) { lock in
        let former = try await second.forceRelease(key)
        #expect(former?.value == lock.token)
        try await stage.pass(.milliseconds(100))
        try await lock.waitUntilLost()
        #expect(lock.lossReason == .deleted)
        // The task of a body whose lock is lost is cancelled.
        while !Task.isCancelled { await Task.yield() }
      }
    }
    #expect(attempt.error?.code == .lost && attempt.error?.isRetryable == true)
    #expect(try await second.forceRelease(key) == nil)
  }

  @Test("A detached lock can be adopted by another locker", arguments: ContractStore.allCases)
  func detaching(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let lock = try await first.acquire(key)
    let check = try await lock.detach()
    #expect(try await second.acquireIfAvailable(key) == nil)
    let adopted = try await second.adopt(check)
    #expect(adopted.isHeld && !lock.isHeld)
    #expect(try #require(adopted.fencingToken) > (try #require(lock.fencingToken)))
    let adopting = await Attempt { try await first.adopt(check) }
    #expect(adopting.error?.code == .lost && adopting.error?.isRetryable == false)
    #expect(try await adopted.release() == .released)
  }

  @Test(
    "A lock keeps others out for minHold, and its holder in for maxHold",
    arguments: ContractStore.allCases
  )
  func holding(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let early = try await first.acquire(key, options: LockOptions(minHold: .milliseconds(300)))
    #expect(try await early.release() == .released)
    #expect(try await second.acquireIfAvailable(key) == nil)
    try await stage.pass(.milliseconds(310))
    await eventually { try await second.inspect(key) == nil }

    let long = try await second.acquire(
      key, options: LockOptions(maxHold: .milliseconds(100)))
    try await stage.pass(.milliseconds(110))
    try await long.waitUntilLost()
    #expect(long.lossReason == .heldTooLong)
  }

  @Test("A cancelled wait leaves nothing behind", arguments: ContractStore.allCases)
  func cancelling(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let lock = try await first.acquire(key)
    let waiting = Task { try await second.acquire(key, options: patient) }
    await eventually { try await first.inspect(key)?.waiterCount == 1 }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    await eventually { try await first.inspect(key)?.waiterCount == 0 }
    try await lock.release()
    #expect(try await first.inspect(key) == nil)
  }

  @Test(
    "A locker that closes releases held locks and ends all waits",
    arguments: ContractStore.allCases)
  func closing(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let lock = try await first.acquire(key)
    let own = try await second.acquire(uniqueKey("own"))
    let waiting = Task { await Attempt { try await second.acquire(key, options: patient) } }
    await eventually { try await first.inspect(key)?.waiterCount == 1 }
    await second.close()
    #expect(await waiting.value.error?.code == .closed)
    #expect(!own.isHeld)
    #expect(try await first.inspect(own.keys[0]) == nil)
    await expectError(.closed) { try await second.acquire(uniqueKey("late")) }
    #expect(lock.isHeld)
  }

  @Test(
    "A body is cancelled when its locker is closed",
    arguments: ContractStore.allCases)
  func closingUnderBody(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let (first, second) = try await (stage.locker(), stage.locker())
    let attempt = await Attempt {
      try await first.withLock(key) { lock in
        await first.close()
        #expect(!lock.isHeld && lock.lossReason == nil)
        let status = try await second.inspect(key)
        #expect(status == nil)
        let extending = await Attempt { try await lock.extend(by: .seconds(1)) }
        #expect(extending.error?.code == .closed)
        while !Task.isCancelled { await Task.yield() }
        return 7
      }
    }
    #expect(attempt.error?.code == .closed && attempt.value == nil)
  }

  @Test(
    "A locker uses the options of the call, or else those of the configuration",
    arguments: ContractStore.allCases)
  func options(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let locker = try await stage.locker { $0.lockOptions = LockOptions(ttl: .seconds(60)) }
    let lock = try await locker.acquire(key)
    #expect(lock.remaining > .seconds(30))
    #expect(try await locker.inspect(key)?.holder.lockerID == locker.id)
    try await locker.withLock(key + "2", options: LockOptions()) { lock in
      #expect(lock.remaining < .seconds(4))
    }
    #expect("\(lock)" == "lock on \"\(key)\", held")
    let status = try #require(try await locker.inspect(key))
    let text = "\(status)"
    #expect(text.hasPrefix("\"\(key)\": held by "))
    try await lock.release()
    #expect("\(lock)" == "lock on \"\(key)\", released")
  }

  @Test(
    "In each store, a locker obeys its limits, fencing setting and key rules",
    arguments: ContractStore.allCases)
  func configuration(store: ContractStore) async throws {
    let (stage, key) = (ContractStage(store), uniqueKey())
    let locker = try await stage.locker {
      $0.maxWaiters = 1
      $0.isFencingEnabled = false
    }
    let lock = try await locker.acquire(key)
    #expect(lock.fencingToken == nil)
    let waiting = Task { try await locker.acquire(key, options: patient) }
    await eventually { locker.waiterCount(of: key) == 1 }
    await expectError(.tooManyWaiters) { try await locker.acquire(key) }
    try await lock.release()
    #expect(try await waiting.value.isHeld)
    await expectError(.invalidKey) { try await locker.acquire("") }
    let ownKey = await Attempt { try await locker.acquire("redis-lock:fence") }
    #expect(ownKey.error?.code == .invalidKey && ownKey.error?.keys == ["redis-lock:fence"])
    await expectError(.invalidOptions) {
      try await locker.acquire(key, options: LockOptions(ttl: .zero))
    }
    let other = uniqueKey("other")
    await expectError(.wouldDeadlock) {
      try await locker.withLock(other) { _ in try await locker.withLock(other) { _ in } }
    }
  }
}
