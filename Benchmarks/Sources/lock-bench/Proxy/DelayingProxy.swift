import Foundation

/// Sits in front of the server and delays everything in both directions.
///
/// One thread serves all connections, so that the proxy adds as few wake-ups as possible.
final class DelayingProxy: Sendable {
  let url: String
  let roundTrip: Duration

  let placement: Placement

  /// Listens on a free port as long as this process lives.
  init(to upstream: String, roundTrip: Duration, _ placement: Placement) throws {
    self.roundTrip = roundTrip
    self.placement = placement
    let (listener, port) = try ProxySocket.listen()
    url = "redis://127.0.0.1:\(port)"
    let oneWay = UInt64(roundTrip / .nanoseconds(1)) / 2
    Thread.detachNewThread {
      var loop = ProxyLoop(listener: listener, upstream: upstream, oneWay: oneWay)
      CPUAffinity.with(placement) { loop.run() }
    }
  }
}
