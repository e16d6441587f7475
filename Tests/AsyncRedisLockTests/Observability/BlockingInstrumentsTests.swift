#if Metrics && Tracing
  import CoreMetrics
  import InMemoryTracing
  import Logging
  import MetricsTestKit
  import PrivateRedis
  import Testing
  import Tracing

  @testable import AsyncRedisLock

  /// The program's metrics and tracing may block for any length of time: no extension and no loss waits for them.
  @Suite("Metrics and traces that block", .redisServer(), .timeLimit(.minutes(1)))
  struct BlockingInstrumentsTests {
    private let gate = Gate()

    private func locker(_ change: (inout Instruments) -> Void) async throws -> Locker {
      let configuration = try LockerConfiguration(url: RedisServer.current.url)
      var instruments = Instruments()
      change(&instruments)
      let reporter = Reporter(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, label: nil,
        configuration: configuration, instruments: instruments)
      return try await Locker(configuration, reporter: reporter)
    }

    private func expectExtensions(of lease: Lease) async {
      for _ in 0..<2 {
        let end = lease.state.validUntil
        await eventually(within: .seconds(10), "the lock is extended") {
          lease.state.validUntil > end
        }
      }
      #expect(lease.isHeld)
    }

    // MARK: Metrics

    /// A counter that blocks each thread that counts.
    private final class BlockingCounter: CounterHandler {
      private let gate: Gate
      init(_ gate: Gate) { self.gate = gate }
      func increment(by amount: Int64) { gate.pass() }
      func reset() {}
    }

    private struct BlockingMetrics: MetricsFactory {
      let gate: Gate
      private let rest = TestMetrics()

      init(_ gate: Gate) { self.gate = gate }

      func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        label == "redis_lock_extensions"
          ? BlockingCounter(gate) : rest.makeCounter(label: label, dimensions: dimensions)
      }
      func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        rest.makeMeter(label: label, dimensions: dimensions)
      }
      func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
      ) -> any RecorderHandler {
        rest.makeRecorder(label: label, dimensions: dimensions, aggregate: aggregate)
      }
      func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        rest.makeTimer(label: label, dimensions: dimensions)
      }
      func destroyCounter(_ handler: any CounterHandler) {}
      func destroyMeter(_ handler: any MeterHandler) {}
      func destroyRecorder(_ handler: any RecorderHandler) {}
      func destroyTimer(_ handler: any TimerHandler) {}
    }

    @Test("A metrics backend that blocks at an extension delays no other extension and no loss")
    func metrics() async throws {
      defer { gate.open() }
      let locker = try await locker { $0.metrics = BlockingMetrics(gate) }
      let options = LockOptions(
        timeout: .seconds(20), ttl: .seconds(20), extend: .milliseconds(100))
      let lost = try await locker.acquire(uniqueKey(), options: options)
      let kept = try await locker.acquire(uniqueKey(), options: options)
      await eventually("the backend blocks") { gate.count == 1 }
      await expectExtensions(of: kept.lease)
      try RedisClient(.current)("DEL", lost.keys[0])
      await eventually(within: .seconds(10), "the loss is known") { lost.lossReason == .deleted }
      gate.open()
      try await kept.release()
      await locker.close()
    }

    // MARK: Traces

    /// A span that blocks each thread that adds an event.
    private struct BlockingSpan: Span {
      let gate: Gate
      let inner: InMemorySpan

      var context: ServiceContext { inner.context }
      var isRecording: Bool { inner.isRecording }
      var operationName: String {
        get { inner.operationName }
        nonmutating set { inner.operationName = newValue }
      }
      var attributes: SpanAttributes {
        get { inner.attributes }
        nonmutating set { inner.attributes = newValue }
      }
      func addEvent(_ event: SpanEvent) { gate.pass() }
      func setStatus(_ status: SpanStatus) { inner.setStatus(status) }
      func addLink(_ link: SpanLink) { inner.addLink(link) }
      func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
      ) { inner.recordError(error, attributes: attributes, at: instant()) }
      func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        inner.end(at: instant())
      }
    }

    private struct BlockingTracer: Tracer {
      let gate: Gate
      private let inner = InMemoryTracer()

      init(_ gate: Gate) { self.gate = gate }

      func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
      ) -> BlockingSpan {
        BlockingSpan(
          gate: gate,
          inner: inner.startSpan(
            operationName, context: context(), ofKind: kind, at: instant(), function: function,
            file: fileID, line: line))
      }
      func forceFlush() {}
      func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
      ) where Inject.Carrier == Carrier {}
      func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
      ) where Extract.Carrier == Carrier {}
    }

    @Test("A span that blocks at an event delays neither the grant of a lock nor its extensions")
    func trace() async throws {
      defer { gate.open() }
      let (holder, key) = (try await Locker(on: .current), uniqueKey())
      let locker = try await locker { $0.tracer = BlockingTracer(gate) }
      let first = try await holder.acquire(key, options: .patient)
      let waiting = try await queueUp(
        locker, for: key,
        options: LockOptions(timeout: .seconds(20), ttl: .seconds(20), extend: .milliseconds(200)))
      try await first.release()
      await eventually("the grant is taken") { locker.coordinator.extender.leases.count == 1 }
      let lease = try #require(locker.coordinator.extender.leases.first)
      await expectExtensions(of: lease)
      // The task of the call itself waits until its trace is complete.
      await eventually("the span blocks") { gate.count == 1 }
      gate.open()
      try await waiting.value.release()
      await locker.close()
      await holder.close()
    }
  }
#endif
