import FaultProxy
import Foundation

/// Takes name queries at 127.0.0.1, and answers none.
final class SilentNameServer: Sendable {
  private let wire: FakeWire

  /// Listens on the port for name queries, which only root can.
  ///
  /// - Throws: `POSIXError`.
  init() throws {
    #if canImport(Darwin)
      let type = SOCK_DGRAM
    #else
      let type = CInt(SOCK_DGRAM.rawValue)
    #endif
    wire = FakeWire(adopting: socket(AF_INET, type, 0))
    try wire.bind(to: .tcp(port: 53))
  }
}
