#if Tracing
  import AsyncRedisLockTesting
  import InMemoryTracing
  import Logging
  import PrivateRedis
  import Testing
  import Tracing

  @testable import AsyncRedisLock

  @Suite("Traces of a locker", .timeLimit(.minutes(2)), .redisServer())
  struct TracingTests {
    private let tracer = InMemoryTracer()
    private let patient = LockOptions(timeout: nil)

    private func locker() async throws -> Locker {
      let configuration = try LockerConfiguration(url: RedisServer.current.url)
      var instruments = Instruments()
      instruments.tracer = tracer
      let reporter = Reporter(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, label: nil,
        configuration: configuration, instruments: instruments)
      return try await Locker(configuration, reporter: reporter)
    }

    private func attribute(_ span: FinishedInMemorySpan?, _ name: String) -> String? {
      guard case .string(let text)? = span?.attributes.get(name) else { return nil }
      return text
    }

    /// The names of the events of the acquisition that ended last.
    private var lastEvents: [String] {
      tracer.finishedSpans.last { $0.operationName == "acquire lock" }?.events.map(\.name) ?? []
    }

    @Test("A trace has a span for the call that takes a lock, and one for its body")
    func spans() async throws {
      let (locker, key) = (try await locker(), uniqueKey())
      var token: UInt64?
      let outer = tracer.startSpan("request", context: .topLevel)
      try await ServiceContext.$current.withValue(outer.context) {
        try await locker.withLock(key) { lock in
          token = lock.fencingToken
          tracer.startSpan("work").end()
        }
      }
      outer.end()

      let spans = tracer.finishedSpans
      #expect(spans.map(\.operationName) == ["acquire lock", "work", "hold lock", "request"])
      let (taking, work, holding) = (spans[0], spans[1], spans[2])
      #expect(taking.kind == .client && holding.kind == .internal)
      #expect(taking.parentSpanID == outer.spanID && holding.parentSpanID == outer.spanID)
      #expect(work.parentSpanID == holding.spanID)
      #expect(attribute(taking, "db.system.name") == "redis")
      #expect(attribute(taking, "db.namespace") == "0")
      #expect(attribute(taking, "db.operation.name") == "acquire")
      #expect(attribute(taking, "network.transport") == "unix")
      #expect(attribute(taking, "redis_lock.origin") == "asked")
      #expect(attribute(holding, "redis_lock.fencing_token") == token.map(String.init))
      #expect(taking.attributes.get("redis_lock.keys") == .stringArray([key]))
      #expect(taking.status == nil && holding.status == nil && taking.events.isEmpty)
    }

    @Test("A trace of a wait tells its queue, its holder and its outcome")
    func waiting() async throws {
      let (locker, other, key) = (
        try await locker(), try await Locker(on: .current), uniqueKey()
      )
      let lock = try await other.acquire(key)
      let first = Task { try await locker.acquire(key, options: patient) }
      await eventually { try await other.inspect(key)?.waiterCount == 1 }
      try await lock.release()
      let own = try await first.value
      #expect(lastEvents == ["redis_lock.waiting_on_server"])
      let waited = try #require(tracer.finishedSpans.last)
      #expect(attribute(waited, "redis_lock.origin") == "queued")
      let holder = LockHolder(value: lock.token).description
      #expect(waited.events.first?.attributes.get("redis_lock.holder") == .string(holder))

      // A lock is handed on if it was confirmed a moment ago, which a busy machine can miss.
      var handedOn = own
      for _ in 0..<10 where attribute(tracer.finishedSpans.last, "redis_lock.origin") != "handed on"
      {
        let next = Task { try await locker.acquire(key, options: patient) }
        await eventually { locker.waiterCount(of: key) == 1 }
        try await handedOn.extend(by: .seconds(3))
        try await handedOn.release()
        handedOn = try await next.value
      }
      #expect(lastEvents == ["redis_lock.waiting_in_process"])
      #expect(attribute(tracer.finishedSpans.last, "redis_lock.origin") == "handed on")
      #expect(try await locker.acquireIfAvailable(key) == nil)
      #expect(attribute(tracer.finishedSpans.last, "redis_lock.reason") == "contended")
      #expect(tracer.finishedSpans.last?.status == nil)

      await expectError(.timeout) {
        try await locker.acquire(key, options: LockOptions(timeout: .milliseconds(20)))
      }
      let failed = tracer.finishedSpans.last
      #expect(attribute(failed, "error.type") == "timeout" && failed?.status?.code == .error)
      #expect(failed?.errors.count == 1)

      let cancelled = Task { try await locker.acquire(key, options: patient) }
      await eventually { locker.waiterCount(of: key) == 1 }
      cancelled.cancel()
      _ = try? await cancelled.value
      #expect(attribute(tracer.finishedSpans.last, "error.type") == "cancelled")
      #expect(tracer.finishedSpans.last?.status == nil)
      _ = handedOn
      #expect(tracer.activeSpans.isEmpty)
    }

    private struct Oops: Error {}

    @Test("A trace tells of a lost lock, of a body that throws, and of a server that refuses")
    func trouble() async throws {
      let (locker, key) = (try await locker(), uniqueKey())
      let client = RedisClient(.current)
      await expectError(.lost) {
        try await locker.withLock(
          key, options: .init(ttl: .milliseconds(200), extend: .milliseconds(20))
        ) { _ in
          try client("DEL", key)
          try await Task.sleep(for: .seconds(60))
        }
      }
      let lost = tracer.finishedSpans.last { $0.operationName == "hold lock" }
      #expect(attribute(lost, "redis_lock.reason") == "deleted" && lost?.status?.code == .error)

      await #expect(throws: Oops.self) { try await locker.withLock(key) { _ in throw Oops() } }
      let failed = tracer.finishedSpans.last { $0.operationName == "hold lock" }
      #expect(failed?.errors.first?.error is Oops && failed?.status?.code == .error)

      try client("RPUSH", key, "no lock")
      await expectError(.refused) { try await locker.acquire(key) }
      let refused = tracer.finishedSpans.last
      #expect(attribute(refused, "db.response.status_code") == "WRONGTYPE")
      #expect(attribute(refused, "error.type") == "refused")
    }

    @Test("A trace of an adoption has its own call name")
    func adopting() async throws {
      let locker = try await locker()
      let check = try await locker.acquire(uniqueKey()).detach()
      let lock = try await locker.adopt(check)
      #expect(tracer.finishedSpans.last?.operationName == "adopt lock")
      #expect(attribute(tracer.finishedSpans.last, "redis_lock.origin") == "adopted")
      try await lock.release()
    }
  }
#endif
