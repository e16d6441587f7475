#if Metrics
  import CoreMetrics
  import Logging
  import MetricsTestKit
  import PrivateRedis
  import Testing

  @testable import AsyncRedisLock

  @Suite("Metrics of a locker", .timeLimit(.minutes(2)), .redisServer())
  struct MetricsTests {
    private let metrics = TestMetrics()
    private let client = RedisClient(.current)

    /// The label of every metric, for a locker without a label.
    private static let unlabelled = ("label", "")

    private func locker(label: String? = nil, acknowledgements: Int = 0) async throws -> Locker {
      var configuration = try LockerConfiguration(url: RedisServer.current.url)
      configuration.label = label
      configuration.replicaAcknowledgements = acknowledgements
      if acknowledgements > 0 { configuration.operationTimeout = .milliseconds(200) }
      var instruments = Instruments()
      instruments.metrics = metrics
      let reporter = Reporter(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, label: label,
        instruments: instruments)
      return try await Locker(configuration, reporter: reporter)
    }

    private func count(
      _ name: String, _ dimension: (String, String)? = nil, label: String = ""
    ) throws -> Int64 {
      let dimensions = [("label", label)] + (dimension.map { [$0] } ?? [])
      return try metrics.expectCounter("redis_lock_" + name, dimensions).totalValue
    }

    private func times(_ name: String) throws -> [Int64] {
      try metrics.expectTimer("redis_lock_" + name, [Self.unlabelled]).values
    }

    private func level(_ name: String) throws -> Double {
      try metrics.expectMeter("redis_lock_" + name, [Self.unlabelled]).values.last ?? 0
    }

    @Test("Metrics count locks and held locks, and measure waiting and holding times")
    func counts() async throws {
      let (locker, key) = (try await locker(), uniqueKey())
      let lock = try await locker.acquire(key)
      #expect(try count("acquisitions") == 1)
      #expect(try level("held") == 1)
      #expect(try level("waiting") == 0)
      #expect(try await locker.acquireIfAvailable(key) == nil)
      #expect(try count("acquisition_failures", ("reason", "contended")) == 1)
      await expectError(.timeout) {
        try await locker.acquire(key, options: LockOptions(timeout: .milliseconds(50)))
      }
      #expect(try count("acquisition_failures", ("reason", "timeout")) == 1)
      try await Task.sleep(for: .milliseconds(20))
      try await lock.release()
      #expect(try level("held") == 0)
      #expect(try times("wait_duration").count == 1)
      #expect(try times("hold_duration").first ?? 0 > 20_000_000)
      #expect(try times("round_trip").allSatisfy { $0 > 0 })
      #expect(try !times("round_trip").isEmpty)
    }

    @Test("Metrics count locks that no replica has acknowledged")
    func unacknowledged() async throws {
      let locker = try await locker(acknowledgements: 1)
      #expect(try count("unacknowledged") == 0)
      // The server has no replica.
      await expectError(.refused) { try await locker.acquireIfAvailable(uniqueKey()) }
      await eventually { try count("unacknowledged") > 0 }
      #expect(try count("acquisition_failures", ("reason", "refused")) == 1)
      #expect(try times("acknowledgement").isEmpty)
      await locker.close()
    }

    @Test("Metrics count handoffs within the process and by the server")
    func handoffs() async throws {
      let (locker, key) = (try await locker(), uniqueKey())
      let first = try await locker.acquire(key, options: .patient)
      let second = Task { try await locker.acquire(key, options: .patient) }
      await eventually { try level("waiting") == 1 }
      // Waits in line behind the holder; its number is drawn.
      await eventually { locker.coordinator.queues.numbersWanted(LockKeys(checked: [key])) > 1 }
      // A lock is handed on within the process if the server has confirmed it a moment ago. On a busy machine, it
      // may go by the server instead.
      try await first.extend(by: .seconds(30))
      try await first.release()
      let lock = try await second.value
      let other = try await Locker(on: .current)
      let third = try await queueUp(other, for: key)
      let fourth = try await queueUp(for: key) {
        try await self.locker().acquire(key, options: .patient)
      }
      try await lock.release()
      try await third.value.release()
      try await fourth.value.release()
      let local = try count("handoffs", ("kind", "local"))
      let remote = try count("handoffs", ("kind", "remote"))
      #expect(remote >= 1 && (1...2).contains(local + remote), "\(local) and \(remote)")
    }

    @Test("Metrics count losses and extensions, with the locker's label")
    func losses() async throws {
      let (locker, key) = (try await locker(label: "billing"), uniqueKey())
      let options = LockOptions(ttl: .seconds(1), extend: .milliseconds(50))
      let lock = try await locker.acquire(key, options: options)
      await eventually { try count("extensions", label: "billing") > 1 }
      try client("DEL", key)
      try await lock.waitUntilLost()
      await eventually { try count("losses", ("reason", "deleted"), label: "billing") == 1 }
      try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      try await locker.acquire(key).release()
      await eventually { try count("reconnects", label: "billing") == 1 }
    }

    @Test("Metrics count a loss that only the release finds")
    func lossFoundByRelease() async throws {
      let (locker, key) = (try await locker(), uniqueKey())
      let lock = try await locker.acquire(key, options: .patient)
      try client("SET", key, "theirs")
      #expect(try await lock.release() == .takenByAnother)
      await eventually { try count("losses", ("reason", "takenByAnother")) == 1 }
      #expect(try level("held") == 0)
    }

    @Test("Every series of a locker exists before anything has happened")
    func allSeries() async throws {
      _ = try await locker()
      let reasons = ["expired", "deleted", "takenByAnother", "heldTooLong"]
      for reason in reasons { #expect(try count("losses", ("reason", reason)) == 0) }
      let failures = [
        "contended", "cancelled", "timeout", "tooManyWaiters", "unreachable", "refused", "closed",
        "lost", "other",
      ]
      for reason in failures {
        #expect(try count("acquisition_failures", ("reason", reason)) == 0)
      }
    }
  }
#endif
