import Foundation

/// Finds a TCP port that nobody listens on at 127.0.0.1 at the moment.
///
/// The port is below the range from which the system takes the ports of outgoing connections, as
/// far as Linux and macOS come configured. From within the range, a client that keeps trying to
/// reach a stopped server sooner or later connects to itself, and so takes the port away from it.
///
/// - Returns: The port. Nothing reserves it: whoever listens on it has to be ready to try again.
/// - Throws: ``RedisError/connection(_:)`` if none is found.
public func freeTCPPort() throws -> Int {
  for _ in 0..<100 {
    let port = UInt16.random(in: 10_000..<32_000)
    if try Socket(family: AF_INET).canBind(port: port) { return Int(port) }
  }
  throw RedisError.connection("no free TCP port found")
}
