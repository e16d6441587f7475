extension StoreFailure {
  /// Translates the reason why a request was not answered into the store's terms.
  init(_ error: TransportError) {
    switch error {
    case .cancelled: self = .cancelled
    case .closed: self = .closed
    case .timedOut: self = .unreachable("no answer in time")
    case .connectionLost(let reason): self = .unreachable("connection lost: \(reason)")
    case .unreachable(let reason), .notPrimary(let reason), .noCredentials(let reason):
      self = .unreachable(reason)
    case .isCluster:
      self = .refused(
        code: Self.cluster, message: "the server is a node of a cluster", isTransient: true)
    case .unknownPrimary(let reason): self = .unknown(reason)
    case .tlsFailed(let reason): self = .tlsFailed(reason)
    case .protocolViolation(let what): self = .unreachable("the server sent \(what)")
    case .refused(let error): self.init(error, isTransient: false)
    // The next login may succeed.
    case .heldBack(let error): self.init(error, isTransient: true)
    }
  }

  /// The code of a failure that comes from asking a node of a cluster as if it were alone.
  private static let cluster = "CLUSTER"

  /// Whether the store has found out just then that its server is a node of a cluster.
  var isCluster: Bool { if case .refused(Self.cluster, _, true) = self { true } else { false } }

  /// Translates the server's error into the store's terms.
  init(_ error: ServerError) { self.init(error, isTransient: error.remedy != .fail) }

  private init(_ error: ServerError, isTransient: Bool) {
    guard !error.isAboutFenceCounter else {
      self = .refused(
        code: error.code.rawValue,
        message: "the fence counter is beyond 2^53 - 1; redis-lock doctor tells what to do",
        isTransient: false)
      return
    }
    self = .refused(code: error.code.rawValue, message: error.message, isTransient: isTransient)
  }

  /// Whether the store refused because of a key, so that it might not refuse a command with other keys.
  var isAboutKeys: Bool {
    guard case .refused("NOPERM", let message, _) = self else { return false }
    return ServerError.isAboutKeys(message)
  }
}
