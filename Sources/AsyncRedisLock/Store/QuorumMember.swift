/// One of several stores that decide by majority: what it tells and does beyond any ``LockStore``.
package protocol QuorumMember: LockStore {
  /// How messages name it.
  var name: String { get }

  /// The process of its server, or why that is not known; nil before the first connection.
  var serverRun: Result<ServerRun, StoreFailure>? { get }

  /// Raises the fence counter above a number, provided that a claim still has its keys; the answer is false if it has
  /// not.
  func raiseFence(
    above number: UInt64, for claim: Claim, by deadline: Instant,
    completion: @escaping @Sendable (Result<Bool, StoreFailure>) -> Void)
}

/// One run of a server's process.
package struct ServerRun: Sendable, Equatable {
  /// The identity of the process; two members with the same lead to one server.
  package let id: String
  /// The latest instant at which it may have started.
  package let startedBy: Instant

  package init(id: String, startedBy: Instant) {
    self.id = id
    self.startedBy = startedBy
  }
}
