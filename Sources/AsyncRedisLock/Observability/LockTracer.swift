#if Tracing
  internal import Tracing

  /// Makes the spans of a locker.
  ///
  /// Names of spans and attributes are public: see the article on monitoring. Where OpenTelemetry has a name for
  /// something, that name is used: https://opentelemetry.io/docs/specs/semconv/database/
  struct LockTracer: Sendable {
    private let tracer: any Tracer
    private let server: SpanAttributes

    /// Makes spans with a tracer; `configuration` tells where the server is, if there is one, and `address` how to name
    /// several.
    init(_ tracer: any Tracer, configuration: LockerConfiguration?, address: String?) {
      self.tracer = tracer
      var server = configuration.map(Self.attributes) ?? [:]
      if let address {
        server["server.address"] = address
        server["server.port"] = nil as Int?
      }
      self.server = server
    }

    private static func attributes(of configuration: LockerConfiguration) -> SpanAttributes {
      var attributes: SpanAttributes = [
        "db.system.name": "redis", "db.namespace": "\(configuration.database)",
      ]
      switch configuration.address.kind {
      case .tcp(let host, let port):
        attributes["server.address"] = host
        attributes["server.port"] = Int(port)
      case .unixSocket(let path):
        attributes["server.address"] = path
        attributes["network.transport"] = "unix"
      case .sentinels, .cluster:
        attributes["server.address"] = "\(configuration.address)"
      }
      return attributes
    }

    // MARK: Taking

    /// Starts the span of a call that takes a lock; returns nil if no tracer wants it.
    func begin(_ operation: String, _ keys: [String]) -> AcquisitionTrace? {
      let span = tracer.startAnySpan("\(operation) lock", ofKind: .client)
      guard span.isRecording else {
        span.end()
        return nil
      }
      span.updateAttributes { attributes in
        attributes.merge(server)
        attributes["db.operation.name"] = operation
        attributes["redis_lock.keys"] = keys
      }
      return AcquisitionTrace(span)
    }

    /// Ends the span of a call that got a lock.
    func end(_ trace: AcquisitionTrace, _ lease: Lease) {
      let span = trace.finishedSpan
      span.attributes.merge(Self.attributes(of: lease))
      span.attributes["redis_lock.origin"] = lease.origin.rawValue
      span.end()
    }

    /// Ends the span of a call that got no lock; `error` is nil if another holder had it.
    func end(_ trace: AcquisitionTrace, _ reason: String, because error: (any Error)?) {
      let span = trace.finishedSpan
      span.attributes["redis_lock.reason"] = reason
      if let error {
        span.attributes["error.type"] = reason
        if let code = (error as? LockError)?.serverCode {
          span.attributes["db.response.status_code"] = code
        }
        // A cancellation is not a failure.
        if !(error is CancellationError) {
          span.recordError(error)
          span.setStatus(SpanStatus(code: .error, message: reason))
        }
      }
      span.end()
    }

    // MARK: Holding

    /// Runs a body in a span of its own, which becomes the parent of the body's spans.
    func hold<Value: Sendable>(
      _ lease: Lease, _ body: () async -> Result<Value, any Error>
    ) async -> Result<Value, any Error> {
      await Self.hold(lease, by: tracer, body)
    }

    private static func hold<Value: Sendable>(
      _ lease: Lease, by tracer: some Tracer, _ body: () async -> Result<Value, any Error>
    ) async -> Result<Value, any Error> {
      await tracer.withSpan("hold lock") { span in
        if span.isRecording {
          span.attributes.merge(attributes(of: lease))
          span.attributes["redis_lock.keys"] = lease.claim.keys
        }
        let outcome = await body()
        if let reason = lease.lossReason {
          span.attributes["redis_lock.reason"] = "\(reason)"
          span.attributes["error.type"] = "\(LockError.Code.lost)"
          span.setStatus(SpanStatus(code: .error, message: "the lock was lost"))
        } else if case .failure(let error) = outcome, !(error is CancellationError) {
          span.recordError(error)
          span.setStatus(SpanStatus(code: .error))
        }
        return outcome
      }
    }

    private static func attributes(of lease: Lease) -> SpanAttributes {
      var attributes: SpanAttributes = ["redis_lock.token": "\(lease.claim.token)"]
      if let number = lease.fencingToken { attributes["redis_lock.fencing_token"] = "\(number)" }
      return attributes
    }
  }
#endif
