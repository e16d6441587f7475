extension StoreFailure {
  /// Says in the store's terms why a request was not answered.
  init(_ error: TransportError) {
    switch error {
    case .cancelled: self = .cancelled
    case .closed: self = .closed
    case .timedOut: self = .unreachable("no answer in time")
    case .connectionLost(let reason): self = .unreachable("connection lost: \(reason)")
    case .unreachable(let reason): self = .unreachable(reason)
    case .protocolViolation(let what): self = .unreachable("the server sent \(what)")
    case .refused(let error): self.init(error, isTransient: false)
    }
  }

  /// What scripts and the server's own counting say about a counter that no fencing token can be drawn from.
  private static let fenceErrors = [
    "the fence counter is beyond", "increment or decrement would overflow",
  ]

  /// Says in the store's terms what the server's error means.
  init(_ error: ServerError) { self.init(error, isTransient: error.remedy != .fail) }

  private init(_ error: ServerError, isTransient: Bool) {
    guard !Self.fenceErrors.contains(where: error.message.contains) else {
      self = .refused(
        code: error.code.rawValue,
        message: "the fence counter is beyond 2^53 - 1; redis-lock doctor tells what to do",
        isTransient: false)
      return
    }
    self = .refused(code: error.code.rawValue, message: error.message, isTransient: isTransient)
  }
}
