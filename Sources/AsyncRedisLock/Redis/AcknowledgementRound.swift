/// The outcome of a round: a write and `WAIT`, on a connection of their own.
///
/// `WAIT` speaks of the writes of its own connection. Replicas get all writes in order, so what it says about the
/// round's write holds for everything that the server did before.
///
/// A pure decision.
enum AcknowledgementRound: Equatable {
  /// So many replicas have all that this primary did before the round.
  case counted(Int, on: PrimaryRun.Identity)
  /// It was no round; another may be one.
  case void(because: String)
  /// The replies are of the wrong type, and the next may be, too.
  case unintelligible
  /// No round is possible.
  case impossible(StoreFailure)

  /// What it means for an operation.
  enum Verdict: Equatable {
    case acknowledged
    /// The round says nothing about it; the next may.
    case again
    /// The round was made on another server than the one that the locker uses.
    case elsewhere
    /// The server that has executed it is not in use any more, or was a replica meanwhile.
    case lost(String)
    case tooFew(Int)
  }

  /// The commands of a round that waits for so many replicas for so many milliseconds.
  ///
  /// The last one tells whether the server was a primary all the time.
  static func commands(key: String, replicas: Int, milliseconds: Int64) -> [Command] {
    [
      // Without a write, WAIT confirms nothing.
      Command("SET", key, "1", "PX", "1000"),
      // A zero would mean for ever.
      Command("WAIT", String(replicas), String(max(milliseconds, 1))),
      Command("INFO", "replication"),
    ]
  }

  /// Reads the replies to a round on a connection that leads to a primary.
  init(_ replies: some RandomAccessCollection<Reply>, on login: PrimaryRun?) {
    if let error = replies.lazy.compactMap(\.error).first {
      let isTransient = error.remedy != .fail || error.word == Self.unblocked
      self = isTransient ? .void(because: error.message) : .impossible(StoreFailure(error))
      return
    }
    var rest = Array(replies)[...]
    guard rest.popFirst() == .status("OK"), case .integer(let count)? = rest.popFirst(), count >= 0,
      case .string(let information)? = rest.popFirst(), rest.isEmpty
    else {
      self = .unintelligible
      return
    }
    switch (login?.identity, PrimaryRun.replicationID(information)) {
    case (.failure(let failure)?, _): self = .impossible(failure)
    case (.success?, nil), (nil, _): self = .unintelligible
    case (.success(let identity)?, let replicationID?):
      self = .counted(
        Int(clamping: count),
        on: PrimaryRun.Identity(runID: identity.runID, replicationID: replicationID))
    }
  }

  /// The word of a server that becomes a replica during `WAIT`.
  private static let unblocked = "UNBLOCKED"

  /// Reads why a round got no answer.
  init(_ failure: TransportError) {
    switch failure {
    // The next connection may get one.
    case .timedOut, .connectionLost, .unreachable, .notPrimary, .protocolViolation, .cancelled:
      if case .unreachable(let reason) = StoreFailure(failure) {
        self = .void(because: reason)
      } else {
        self = .void(because: "no answer")
      }
    case .closed, .isCluster, .unknownPrimary, .tlsFailed, .refused, .heldBack, .noCredentials:
      self = .impossible(StoreFailure(failure))
    }
  }

  /// Decides about an operation that was answered before the round was sent.
  ///
  /// `inUse` is the server that the locker's requests go to now.
  func verdict(
    for operation: PrimaryRun.Identity, needing replicas: Int, inUse: PrimaryRun.Identity?
  ) -> Verdict {
    guard case .counted(let count, let primary) = self else { return .again }
    guard primary.runID == operation.runID else {
      return operation.runID == inUse?.runID ? .elsewhere : .lost("the primary is another server")
    }
    guard primary.replicationID == operation.replicationID else {
      return .lost("the primary was a replica meanwhile")
    }
    return count >= replicas ? .acknowledged : .tooFew(count)
  }
}
