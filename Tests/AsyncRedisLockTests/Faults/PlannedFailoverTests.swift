import AsyncRedisLock
import FaultProxy
import PrivateRedis
import Synchronization
import Testing

/// A failover that loses no write, behind an address that leads new connections to the new master.
///
/// A failover does not cut the connections of subscribers. An inbox stays where it was, and hears published messages,
/// since that is replicated.
@Suite("A planned failover", .timeLimit(.minutes(2)))
struct PlannedFailoverTests {
  /// The present holders, and how often a holder entered while another was inside.
  private final class Watch: Sendable {
    private struct State {
      var inside: [ObjectIdentifier: Lock] = [:]
      var overlaps = 0
      var counts: [Int: Int] = [:]
    }

    private let state = Locked(State())

    func enter(_ lock: Lock, of number: Int) {
      state.withLock { state in
        if lock.isHeld, state.inside.values.contains(where: \.isHeld) { state.overlaps += 1 }
        state.inside[ObjectIdentifier(lock)] = lock
        state.counts[number, default: 0] += 1
      }
    }

    func leave(_ lock: Lock) { state.withLock { $0.inside[ObjectIdentifier(lock)] = nil } }

    var overlaps: Int { state.withLock(\.overlaps) }

    /// The number of locks of the locker with the fewest.
    func fewest(of lockers: Int) -> Int {
      state.withLock { state in (0..<lockers).map { state.counts[$0, default: 0] }.min() ?? 0 }
    }
  }

  @Test("Two lockers exclude each other, and hand on to each other, after each of three failovers")
  func exclusion() async throws {
    let pair = try ReplicatedPair()
    await waitUntilInStep(pair)
    let lockers = [try await Locker(url: pair.url), try await Locker(url: pair.url)]
    let (key, watch) = (uniqueKey(), Watch())
    let options = LockOptions(
      retry: .milliseconds(50), timeout: .seconds(30), ttl: .seconds(10), extend: .seconds(2))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<4 {
        group.addTask {
          while !Task.isCancelled {
            do {
              let lock = try await lockers[number % 2].acquire(key, options: options)
              watch.enter(lock, of: number % 2)
              // The time for which the lock protects something.
              try await Task.sleep(for: .milliseconds(3))
              watch.leave(lock)
              _ = try? await lock.release()
            } catch is CancellationError {
              return
            }
          }
        }
      }
      for round in 0..<4 {
        let goal = watch.fewest(of: 2) + 30
        await eventually(within: .seconds(20), "both get locks in round \(round)") {
          watch.fewest(of: 2) >= goal
        }
        if round > 0 { try await expectInboxes(of: lockers, on: pair.master) }
        if round < 3 {
          await failOver(pair)
          await waitUntilInStep(pair)
        }
      }
      group.cancelAll()
    }
    #expect(watch.overlaps == 0)
    for locker in lockers { await locker.close() }
  }

  @Test("A waiter whose inbox is on the replica gets the lock, and moves its inbox")
  func elsewhere() async throws {
    let pair = try ReplicatedPair()
    await waitUntilInStep(pair)
    let (holder, waiter) = (try await Locker(url: pair.url), try await Locker(url: pair.url))
    let key = uniqueKey()
    // The main connection already leads there; the inbox's connection is made now.
    try pair.lead(to: 1)
    let options = LockOptions(
      retry: .milliseconds(50), timeout: .seconds(20), ttl: .seconds(10), extend: .seconds(2))
    for _ in 0..<3 {
      let lock = try await holder.acquire(key, options: options)
      async let next = waiter.acquire(key, options: options)
      await eventually { try await holder.inspect(key)?.holder.value == lock.token }
      try await lock.release()
      // A poll finds the free key.
      try await next.release()
    }
    let channel = "redis-lock:inbox:\(waiter.id)"
    try pair.lead(to: 0)
    let lock = try await holder.acquire(key, options: options)
    async let next = waiter.acquire(key, options: options)
    await eventually(within: .seconds(10), "the inbox comes") {
      try RedisClient(pair.servers[0])("PUBSUB", "NUMSUB", channel).array?[1].integer == 1
    }
    try await lock.release()
    try await next.release()
    for locker in [holder, waiter] { await locker.close() }
  }

  @Test("A waiter whose inbox stays on another server gets the lock, too, while others wait for it")
  func elsewhereForGood() async throws {
    let pair = try ReplicatedPair()
    await waitUntilInStep(pair)
    let key = uniqueKey()
    let waiter = try await Locker(url: pair.url)
    let others = [try await Locker(url: pair.url), try await Locker(url: pair.url)]
    // Their inboxes are where they belong.
    for other in others { #expect(await other.canBeTold()) }
    try pair.lead(to: 1)
    let options = LockOptions(
      retry: .milliseconds(50), timeout: .seconds(20), ttl: .seconds(10), extend: .seconds(2))
    let count = Shared(0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<4 {
        group.addTask {
          while !Task.isCancelled {
            do {
              try await others[number % 2].withLock(key, options: options) { _ in
                count.change { $0 += 1 }
                // So long that the others have their places in the queue.
                try await Task.sleep(for: .milliseconds(3))
              }
            } catch is CancellationError {
              return
            }
          }
        }
      }
      await eventually("they pass the lock on to each other") { count.value > 100 }
      for _ in 0..<2 { try await waiter.acquire(key, options: options).release() }
      group.cancelAll()
    }
    for locker in others + [waiter] { await locker.close() }
  }

  @Test("The inbox of an idle locker follows the login of its main connection")
  func idleInbox() async throws {
    let pair = try ReplicatedPair()
    await waitUntilInStep(pair)
    let locker = try await Locker(url: pair.url)
    #expect(await locker.canBeTold())
    try await expectInboxes(of: [locker], on: pair.master)
    await failOver(pair)
    // The main connection meets a replica, and logs in to the new master.
    try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(10))).release()
    try await expectInboxes(of: [locker], on: pair.master)
    await locker.close()
  }

  private func waitUntilInStep(_ pair: ReplicatedPair) async {
    await eventually(within: .seconds(20), "the replica follows") { pair.isInStep }
  }

  private func failOver(_ pair: ReplicatedPair) async {
    await eventually(within: .seconds(20), "a failover begins") { try pair.beginFailover() }
    await eventually(within: .seconds(20), "the roles are swapped") { pair.hasFailedOver }
  }

  private func expectInboxes(of lockers: [Locker], on server: RedisServer) async throws {
    for locker in lockers {
      await eventually(within: .seconds(10), "the inbox follows") {
        let reply = try RedisClient(server)("PUBSUB", "NUMSUB", "redis-lock:inbox:\(locker.id)")
        return reply.array?[1].integer == 1
      }
    }
  }
}
