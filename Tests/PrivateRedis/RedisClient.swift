import Synchronization

/// A small blocking client, as an independent view of what is on the server.
///
/// It shares no code with the library under test. It connects on demand, even after a restart of the server. Calls
/// from several threads take turns, and a call blocks its thread for up to 10 s.
public final class RedisClient: Sendable {
  private let endpoint: Endpoint
  private let connection = Mutex<RedisConnection?>(nil)

  /// Makes a client of the server, which need not run yet.
  public convenience init(_ server: RedisServer) {
    self.init(server.endpoint)
  }

  init(_ endpoint: Endpoint) {
    self.endpoint = endpoint
  }

  /// Sends a command and waits for the answer.
  ///
  /// - Parameter arguments: The command's name and its arguments.
  /// - Returns: The answer.
  /// - Throws: ``RedisError/server(_:)`` if the answer is an error, ``RedisError/connection(_:)`` if there is no
  ///     answer.
  @discardableResult
  public func callAsFunction(_ arguments: String...) throws -> RedisValue {
    try self(words: arguments)
  }

  /// Sends a command with an array of arguments, and waits for the answer.
  ///
  /// - Parameter arguments: The command's name and its arguments.
  /// - Returns: The answer.
  /// - Throws: The same as ``callAsFunction(_:)``.
  @discardableResult
  public func callAsFunction(words arguments: [String]) throws -> RedisValue {
    let answer = try connection.withLock { connection in
      if connection?.isStale ?? true { connection = nil }
      var open = try connection ?? RedisConnection(endpoint, timeout: 10)
      // After an error, the answer might still come, so the socket is not used again.
      connection = nil
      let answer = try open.answer(to: arguments)
      connection = open
      return answer
    }
    if case .error(let text) = answer { throw RedisError.server(text) }
    return answer
  }
}
