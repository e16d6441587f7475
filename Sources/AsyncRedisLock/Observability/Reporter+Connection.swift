internal import Logging
internal import Synchronization

/// Reports about the connection.
extension Reporter {
  /// Whether there is a connection that works, as far as is known.
  var isConnected: Bool { outage.withLock { $0.isConnected } }

  /// Notes that the connection is ready for requests.
  func connected() {
    let level: Logger.Level
    let message: String
    var isReconnection = false
    switch outage.withLock({ $0.connected(at: clock.now) }) {
    case .first: (level, message) = (.debug, "Connected")
    case .late(let pause):
      (level, message) = (.notice, "Connected after \(pause.roundedForMessage)")
    case .again(let pause, let wasTold):
      (level, message) = (
        wasTold ? .notice : .info, "Reconnected after \(pause.roundedForMessage)"
      )
      isReconnection = true
    }
    queue.add { [self, isReconnection] in
      logger.log(level: level, "\(message)", metadata: metadata())
      #if Metrics
        if isReconnection { metrics.reconnected() }
      #endif
    }
  }

  /// Notes that the connection has ended, or that an attempt to make one has failed.
  func disconnected(because cause: TransportError, isIdle: Bool) {
    let loss = outage.withLock { $0.disconnected(isIdle: isIdle, at: clock.now) }
    // The message names the address itself.
    let text = cause.explanation.replacing("\(address): ", with: "", maxReplacements: 1)
    let message: String
    switch loss {
    case .nothing:
      queue.add { [self] in
        logger.debug(
          "The connection ended", metadata: metadata(["redis-lock.cause": "\(text)"]))
      }
      return
    case .lost: message = "Lost connection to Redis \(address) (\(text)); reconnecting"
    case .cannotConnect: message = "Cannot connect to Redis \(address) (\(text)); trying again"
    }
    let isSaid = warn(.connectionLost, level: .notice) {
      (message, ["redis-lock.cause": "\(text)"])
    }
    if !isSaid { outage.withLock { $0.wasHeldBack() } }
  }

  /// Notes that too few replicas have confirmed a lock or an extension.
  func notAcknowledged(_ text: String) {
    #if Metrics
      queue.add { [metrics] in metrics.notAcknowledged() }
    #endif
    warn(.notAcknowledged) {
      ("Replicas did not acknowledge a lock or an extension", ["redis-lock.cause": "\(text)"])
    }
  }

  /// Notes that no sentinel answers, so that a failover would go unnoticed.
  func sentinelsUnheard(because failures: [SentinelFailure], primary: String) {
    let cause = SentinelFailure.summary(of: failures, primary: primary)
    warn(.sentinelsUnheard) {
      (
        "No sentinel answers, so a failover would not be noticed",
        ["redis-lock.cause": "\(cause.explanation)"]
      )
    }
  }

  /// Notes how long enough replicas took to confirm locks.
  func acknowledged(after duration: Duration) {
    #if Metrics
      if isMeasured { queue.add(isSample: true) { [metrics] in metrics.acknowledged(duration) } }
    #endif
  }

  func noteRoundTrip(_ duration: Duration) {
    #if Metrics
      if isMeasured { queue.add(isSample: true) { [metrics] in metrics.noteRoundTrip(duration) } }
    #endif
  }
}

extension TransportError {
  /// Why there is no connection, in words.
  fileprivate var explanation: String {
    switch self {
    case .timedOut: "no answer in time"
    case .cancelled, .closed: "closed"
    case .isCluster: "a node of a cluster"
    case .connectionLost(let reason), .unreachable(let reason), .notPrimary(let reason),
      .unknownPrimary(let reason), .tlsFailed(let reason), .noCredentials(let reason):
      reason
    case .protocolViolation(let what): "the server sent \(what)"
    case .refused(let error), .heldBack(let error): "the server refused: \(error.message)"
    }
  }
}
