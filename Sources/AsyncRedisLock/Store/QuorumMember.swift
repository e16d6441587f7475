/// One of several stores that decide by majority: what it tells and does beyond any ``LockStore``.
package protocol QuorumMember: LockStore {
  /// How messages name it.
  var name: String { get }

  /// The process of its server, or why that is not known; nil before the first connection.
  var serverRun: Result<ServerRun, StoreFailure>? { get }

  /// Connects again if there is no connection, without a task; the completion is called when that has ended.
  func reconnect(by deadline: Instant, completion: @escaping @Sendable () -> Void)

  /// Asks for keys without a task, so that the answer counts also while no task can run.
  ///
  /// What a failed request did is undone, and `undos` tells when that is over. The completion may be called before this
  /// returns.
  func request(
    _ claim: Claim, _ question: KeyQuestion, by deadline: Instant, undos: UndoRecord,
    completion: @escaping @Sendable (Result<Acquisition, StoreFailure>) -> Void
  ) -> KeyCall

  /// Gives keys that a claim took over back to their former token, for as long as that would have had them.
  ///
  /// `undos` is the record of the claim's request, which knows for how long that is.
  func restore(
    _ claim: Claim, to former: String, undos: UndoRecord, by deadline: Instant,
    completion: @escaping @Sendable (Result<Void, StoreFailure>) -> Void)

  /// Raises the fence counter above a number, provided that a claim still has its keys; the answer is false if it has
  /// not.
  func raiseFence(
    above number: UInt64, for claim: Claim, by deadline: Instant,
    completion: @escaping @Sendable (Result<Bool, StoreFailure>) -> Void)
}

/// How a member is asked for keys, and how many fencing tokens to draw.
package enum KeyQuestion: Sendable, Equatable {
  /// As by ``LockStore/acquire(_:numbers:by:)``.
  case acquire(numbers: Int)
  /// As by ``LockStore/inquire(_:numbers:by:)``.
  case inquire(numbers: Int)
  /// As by ``LockStore/adopt(_:from:numbers:by:)``.
  case adopt(from: String, numbers: Int)
}

/// A request for keys that is under way.
package final class KeyCall: Sendable {
  private let onCancel: @Sendable () -> Void

  package init(onCancel: @escaping @Sendable () -> Void) { self.onCancel = onCancel }

  /// Gives the request up, and undoes it; does nothing if it has been answered.
  package func cancel() { onCancel() }
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
