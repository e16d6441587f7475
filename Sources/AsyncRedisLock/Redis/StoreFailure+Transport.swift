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

  /// Says in the store's terms what the server's error means.
  init(_ error: ServerError) { self.init(error, isTransient: error.remedy != .fail) }

  private init(_ error: ServerError, isTransient: Bool) {
    self = .refused(code: error.code.rawValue, message: error.message, isTransient: isTransient)
  }
}
