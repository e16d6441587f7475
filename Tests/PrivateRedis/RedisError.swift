import Foundation

/// An error between a test and its server.
public enum RedisError: Error, Hashable, CustomStringConvertible {
  /// The server could not be started; the text contains its log.
  case start(String)
  /// The connection failed, or no answer came in time.
  case connection(String)
  /// The server answered with this error.
  case server(String)

  /// The text alone, for the output of a failed test.
  public var description: String {
    switch self {
    case .start(let text), .connection(let text), .server(let text): text
    }
  }
}

/// The system's name for an error number.
func errorText(_ number: Int32) -> String {
  POSIXErrorCode(rawValue: number).map { POSIXError($0).localizedDescription }
    ?? "error \(number)"
}
