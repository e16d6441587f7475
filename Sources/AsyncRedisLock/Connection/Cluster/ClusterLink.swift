internal import Synchronization

/// What the connection to a node of a cluster leaves to the rest of the cluster.
final class ClusterLink: Sendable {
  private static let logins = Atomic<UInt64>(0)

  let address: LockerConfiguration.Address
  /// Weak: the cluster owns the connection, which owns this.
  private weak let cluster: ClusterConnection?
  private let login = Atomic<UInt64>(0)

  init(to address: LockerConfiguration.Address, of cluster: ClusterConnection) {
    self.address = address
    self.cluster = cluster
  }

  /// The number of the present login, which no other login on any connection has; zero before the first.
  ///
  /// What a server has told on one login says nothing about the next, which may lead to another server.
  var source: UInt64 { login.load(ordering: .acquiring) }

  func loggedIn() {
    login.store(Self.logins.add(1, ordering: .relaxed).newValue, ordering: .releasing)
    cluster?.loggedIn(to: address)
  }

  /// Notes that the connection has ended for good.
  func ended() { cluster?.connectionEnded(address) }

  func lost(because cause: TransportError, isIdle: Bool) {
    cluster?.lost(address, because: cause, isIdle: isIdle)
  }

  /// Takes over a request that the node has not executed; returns false if the answer is for the request's caller.
  func takesOver(_ request: Request, _ answer: Request.Answer) -> Bool {
    cluster?.takesOver(request, answer, from: self) ?? false
  }

  /// Finds another way for requests that wait for the node, which cannot be reached.
  func reroute(_ requests: [Request]) { cluster?.reroute(requests, from: address) }
}
