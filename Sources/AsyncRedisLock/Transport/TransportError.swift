/// Why a request was not answered.
package enum TransportError: Error, Sendable, Equatable {
  /// No answer came by the request's deadline.
  case timedOut
  /// The caller gave up.
  case cancelled
  /// The connection broke while the answer was due.
  case connectionLost(String)
  /// The server could not be reached by the request's deadline; the text is the last reason.
  case unreachable(String)
  /// A server was reached that is not the primary; the text tells its role.
  case notPrimary(String)
  /// The server is a node of a cluster, and the connection was not made for one.
  case isCluster
  /// No sentinel knows the primary; the text names it.
  case unknownPrimary(String)
  /// The program did not provide what to log in with; the text says why.
  case noCredentials(String)
  /// The server's certificate was not accepted, the server did not accept this client's, or TLS failed otherwise.
  case tlsFailed(String)
  /// The server refused the connection's login or database.
  case refused(ServerError)
  /// The server has refused a login, or writes as a replica, a moment ago, and the next login is not due yet.
  case heldBack(ServerError)
  /// The server sent a reply that does not answer the request.
  case protocolViolation(String)
  /// The connection was closed by its owner.
  case closed
}
