/// The server's answer to one command, copied out of hiredis's memory.
package enum Reply: Sendable, Equatable {
  case status(String)
  case string(String)
  case integer(Int64)
  case null
  case array([Reply])
  case error(ServerError)

  /// A script's answer to the request with this number; the number alone stands for a 1.
  ///
  /// - Throws: ``TransportError/protocolViolation(_:)`` if it answers another request.
  func answer(to question: UInt32) throws(TransportError) -> Reply {
    switch self {
    case .error: return self
    case .integer(Int64(question)): return .integer(1)
    case .array(let parts) where parts.count == 2 && parts[0] == .integer(Int64(question)):
      return parts[1]
    default: throw .protocolViolation("an answer to another request")
    }
  }

  /// Whether the reply says that the server does not know a script by its digest.
  var isMissingScript: Bool {
    if case .error(let error) = self { error.code == .noScript } else { false }
  }

  /// The error in this reply, if it is one.
  var error: ServerError? {
    if case .error(let error) = self { error } else { nil }
  }
}
