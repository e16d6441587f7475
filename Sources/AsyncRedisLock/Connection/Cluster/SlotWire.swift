/// The way of requests to one slot of a cluster, wherever it is.
final class SlotWire: Wire {
  private let cluster: ClusterConnection
  private let slot: Int

  init(to slot: Int, of cluster: ClusterConnection) {
    self.cluster = cluster
    self.slot = slot
  }

  var clock: LockClock { cluster.clock }

  var roundTrip: Duration { connection?.roundTrip ?? .zero }

  var violationCount: Int { cluster.violationCount }

  var source: UInt64 { cluster.member(of: slot)?.link.source ?? 0 }

  private var connection: Connection? { cluster.member(of: slot)?.connection }

  func submit(_ request: Request) {
    request.slot = slot
    cluster.submit(request)
  }

  func submitFromTask(_ request: Request) {
    request.slot = slot
    cluster.submit(request, servesItself: true)
  }

  func abandon(_ request: Request) { request.fail(.cancelled) { submit($0) } }

  func distrust() { cluster.distrust() }

  func reconnect(because reason: String) { connection?.reconnect(because: reason) }

  func afterPause(_ pause: Duration, _ body: @escaping @Sendable () -> Void) {
    cluster.afterPause(pause, body)
  }

  func giveBackLater(_ pause: Duration, _ body: @escaping @Sendable () -> Void) {
    if let connection { connection.giveBackLater(pause, body) } else { afterPause(pause, body) }
  }

  func noteGivenBack() { connection?.noteGivenBack() }
}
