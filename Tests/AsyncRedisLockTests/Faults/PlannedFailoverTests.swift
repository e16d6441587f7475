import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Synchronization
import Testing

/// A failover that loses no write, behind an address that leads new connections to the new master.
///
/// Nobody cuts the connections of subscribers then: an inbox stays where it was, and hears what scripts publish,
/// since that is replicated.
@Suite("A planned failover", .timeLimit(.minutes(2)))
struct PlannedFailoverTests {
  /// Two servers, one of which follows the other, and an address that leads to one of them.
  private final class Pair {
    let servers: [RedisServer]
    private let proxies: [FaultProxy]
    private let address: String
    private(set) var master = 0
    var url: String { "unix://\(address)" }

    init() throws {
      let arguments = ["--repl-diskless-sync-delay", "0"]
      servers = try (0..<2).map { _ in try RedisServer(arguments: arguments, listen: .tcp) }
      proxies = try servers.map { try FaultProxy(to: $0, .unixSocket) }
      address = servers[0].directory + "/current"
      try lead(to: 0)
      try RedisClient(servers[1])("REPLICAOF", "127.0.0.1", "\(#require(servers[0].port))")
    }

    deinit {
      for proxy in proxies { proxy.stop() }
      for server in servers { server.stop() }
    }

    func waitUntilInStep() async {
      await eventually(within: .seconds(20), "the replica follows") { [servers, master] in
        let role = try RedisClient(servers[1 - master])("ROLE").array ?? []
        return role.count == 5 && role[3].string == "connected"
      }
    }

    /// Leads new connections to a server.
    func lead(to number: Int) throws {
      try? FileManager.default.removeItem(atPath: address)
      try FileManager.default.createSymbolicLink(
        atPath: address,
        withDestinationPath: String(proxies[number].url.trimmingPrefix("unix://")))
    }

    /// Swaps the roles, without losing a write.
    func failOver() async throws {
      let next = 1 - master
      try lead(to: next)
      // The replica may be in step a moment before the master knows.
      await eventually(within: .seconds(20), "the failover begins") { [servers, master] in
        let port = try #require(servers[next].port)
        return try RedisClient(servers[master])("FAILOVER", "TO", "127.0.0.1", "\(port)").string
          == "OK"
      }
      await eventually(within: .seconds(20), "the roles are swapped") { [servers] in
        try RedisClient(servers[next])("ROLE").array?.first?.string == "master"
      }
      master = next
    }
  }

  /// Who is inside, and how often somebody came while another was.
  private final class Watch: Sendable {
    private struct State {
      var inside: [ObjectIdentifier: Lock] = [:]
      var overlaps = 0
      var counts: [Int: Int] = [:]
    }

    private let state = Mutex(State())

    func enter(_ lock: Lock, of number: Int) {
      state.withLock { state in
        if lock.isHeld, state.inside.values.contains(where: \.isHeld) { state.overlaps += 1 }
        state.inside[ObjectIdentifier(lock)] = lock
        state.counts[number, default: 0] += 1
      }
    }

    func leave(_ lock: Lock) { state.withLock { $0.inside[ObjectIdentifier(lock)] = nil } }

    var overlaps: Int { state.withLock(\.overlaps) }

    /// How many locks the locker with the fewest has got.
    func fewest(of lockers: Int) -> Int {
      state.withLock { state in (0..<lockers).map { state.counts[$0, default: 0] }.min() ?? 0 }
    }
  }

  @Test("Two lockers exclude each other, and hand on to each other, after each of three failovers")
  func exclusion() async throws {
    let pair = try Pair()
    await pair.waitUntilInStep()
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
              // The time that the lock protects something.
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
        if round > 0 { try await expectInboxes(of: lockers, on: pair.servers[pair.master]) }
        if round < 3 {
          try await pair.failOver()
          await pair.waitUntilInStep()
        }
      }
      group.cancelAll()
    }
    #expect(watch.overlaps == 0)
    for locker in lockers { await locker.close() }
  }

  @Test("A waiter whose inbox has been led to the replica gets the lock, and moves its inbox")
  func elsewhere() async throws {
    let pair = try Pair()
    await pair.waitUntilInStep()
    let (holder, waiter) = (try await Locker(url: pair.url), try await Locker(url: pair.url))
    let key = uniqueKey()
    // Its main connection is there already; that of the inbox is made now.
    try pair.lead(to: 1)
    let options = LockOptions(
      retry: .milliseconds(50), timeout: .seconds(20), ttl: .seconds(10), extend: .seconds(2))
    for _ in 0..<3 {
      let lock = try await holder.acquire(key, options: options)
      async let next = waiter.acquire(key, options: options)
      await eventually { try await holder.inspect(key)?.holder.value == lock.token }
      try await lock.release()
      // A poll finds it.
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

  @Test("The inbox of a locker that waits for nothing follows the login of its main connection")
  func idleInbox() async throws {
    let pair = try Pair()
    await pair.waitUntilInStep()
    let locker = try await Locker(url: pair.url)
    #expect(await locker.canBeTold())
    try await expectInboxes(of: [locker], on: pair.servers[pair.master])
    try await pair.failOver()
    // It meets a replica, and logs in to the new master.
    try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(10))).release()
    try await expectInboxes(of: [locker], on: pair.servers[pair.master])
    await locker.close()
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
