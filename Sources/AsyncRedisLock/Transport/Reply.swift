/// What the server answered to one command, copied out of hiredis's memory.
package enum Reply: Sendable, Equatable {
  case status(String)
  case string(String)
  case integer(Int64)
  case null
  case array([Reply])
  case error(ServerError)

  /// The error in this reply, if it is one.
  var error: ServerError? {
    if case .error(let error) = self { error } else { nil }
  }
}
