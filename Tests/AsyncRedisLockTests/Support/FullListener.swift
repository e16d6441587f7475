import FaultProxy
import Foundation

/// Listens without accepting, with a full queue.
final class FullListener: Sendable {
  let url: String
  private let sockets: [FakeWire]

  /// Fills its own queue.
  ///
  /// - Throws: `POSIXError`.
  init() throws {
    var wires = [FakeWire(adopting: socket(AF_INET, Self.streamType, 0))]
    try wires[0].bind(to: .tcp(port: 0))
    let address = FakeAddress.tcp(port: wires[0].port)
    guard listen(wires[0].descriptor, 0) == 0 else { throw POSIXError(.EIO) }
    for _ in 0..<4 {
      let wire = FakeWire(adopting: socket(AF_INET, Self.streamType, 0))
      _ = fcntl(wire.descriptor, F_SETFL, O_NONBLOCK)
      wire.connect(to: address)
      wires.append(wire)
    }
    sockets = wires
    url = address.url
  }

  /// Whether the system lets a connection to it wait; other systems refuse it.
  static var isSilent: Bool {
    #if os(Linux)
      true
    #else
      false
    #endif
  }

  private static var streamType: CInt {
    #if canImport(Darwin)
      SOCK_STREAM
    #else
      CInt(SOCK_STREAM.rawValue)
    #endif
  }
}
