import Dispatch
import FaultProxy
import PrivateRedis
import Testing

import AsyncRedisLock

@Suite(
  "A primary that becomes a replica while it waits for acknowledgement", .timeLimit(.minutes(2)))
struct DemotedPrimaryTests {
  private static let options = LockOptions(
    retry: .seconds(20), timeout: .seconds(20), ttl: .seconds(30), extend: .seconds(10))

  @Test("A primary that was a replica between a lock and its round acknowledges nothing")
  func demotedMeanwhile() async throws {
    // On a busy machine, a transfer that the change of roles interrupts may hang.
    let patience = ["--repl-timeout", "3", "--repl-ping-replica-period", "1"]
    let server = try await ReplicatedServer(replicas: 1, arguments: patience)
    let usurper = try RedisServer(arguments: ["--repl-diskless-sync-delay", "0"], listen: .tcp)
    let proxy = try FaultProxy(to: server.primary)
    defer {
      proxy.stop()
      server.stop()
      usurper.stop()
    }
    // Straight, since it has to connect again.
    let replica = RedisClient(server.replicas[0])
    try replica("REPLICAOF", "127.0.0.1", "\(server.primary.port ?? 0)")
    await eventually(within: .seconds(10), "the replica is in step") {
      try replica("ROLE").array?[3].string == "connected"
    }
    let locker = try await server.locker(1, timeout: .seconds(60), at: proxy.url)
    try await locker.acquire(uniqueKey(), options: Self.options).release()
    let (isHeldUp, mayPass) = (Shared(false), DispatchSemaphore(value: 0))
    proxy.setScript { message in
      guard message.direction == .requests,
        message.command?.words.contains("redis-lock:ack") == true,
        !isHeldUp.exchange(true)
      else { return .forward }
      mayPass.wait()
      return .forward
    }
    let key = uniqueKey()
    let waiting = Task {
      await Attempt { try await locker.acquireIfAvailable(key, options: Self.options) }
    }
    await eventually("the round is on its way") { isHeldUp.value }
    let client = RedisClient(server.primary)
    #expect(try server.primary.hasKey(key))
    try client("REPLICAOF", "127.0.0.1", "\(usurper.port ?? 0)")
    // Redis 7.0 may hang for good if a change of roles interrupts the transfer to its own replica.
    await eventually(within: .seconds(30), "the lock is forgotten, and all have heard of it") {
      let hasReplica =
        try client("INFO", "replication").string?.contains("state=online") == true
      return try client("ROLE").array?[3].string == "connected" && hasReplica
    }
    try client("REPLICAOF", "NO", "ONE")
    await eventually(within: .seconds(30), "it has its replica again") {
      try client("INFO", "replication").string?.contains("state=online") == true
    }
    let logs = [server.primary, server.replicas[0]].map { $0.log.suffix(3000) }
    try #require(
      try client("INFO", "replication").string?.contains("state=online") == true, "\(logs)")
    proxy.setScript(nil)
    mayPass.signal()
    // The first attempt fails, and the next has a lock that is there.
    let lock = try #require(await waiting.value.value ?? nil)
    #expect(try server.primary.value(of: key) == lock.token)
    #expect(try server.replicas[0].value(of: key) == lock.token)
    #expect(try await lock.release() == .released)
    await locker.close()
  }
}
