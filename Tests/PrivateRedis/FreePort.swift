import Foundation

/// Finds a TCP port without a listener at 127.0.0.1.
///
/// The port is below the system's range for outgoing connections, by the defaults of Linux and macOS. Within that
/// range, a client that keeps trying to reach a stopped server sooner or later connects to itself. It then takes
/// the port away from the server.
///
/// - Returns: The port. It is not reserved, so its user must be ready to try another.
/// - Throws: ``RedisError/connection(_:)`` if no port is found.
public func freeTCPPort() throws -> Int {
  for _ in 0..<100 {
    let port = UInt16.random(in: 10_000..<32_000)
    if try Socket(family: AF_INET).canBind(port: port) { return Int(port) }
  }
  throw RedisError.connection("no free TCP port found")
}
