import AsyncRedisLock
import FaultProxy
import Foundation

/// Passes bytes on to a port, and ends each connection behind a number of bytes from the server.
final class CuttingProxy: Sendable {
  private let listener: FakeListener
  private let limit: Box

  private final class Box: Sendable {
    let value = Locked(Int.max)
  }

  /// Starts to listen.
  ///
  /// - Throws: `POSIXError`.
  init(to port: UInt16, isReset: Bool) throws {
    let limit = Box()
    self.limit = limit
    listener = try FakeListener(.tcp) { client in
      guard let server = try? FakeWire(connectingTo: .tcp(port: port)) else { return }
      Thread.detachNewThread {
        while let bytes = client.receive() { server.write(bytes) }
        server.hangUp()
      }
      let most = limit.value.withLock { $0 }
      Thread.detachNewThread {
        var left = most
        while left > 0, let bytes = server.receive() {
          client.write(Array(bytes.prefix(left)))
          left -= min(left, bytes.count)
        }
        if isReset { client.reset() } else { client.hangUp() }
        server.hangUp()
      }
    }
  }

  /// The port to connect to.
  var port: UInt16 {
    if case .tcp(let port) = listener.address { port } else { 0 }
  }

  /// Lets this many bytes of the server through on each new connection.
  func cut(after count: Int) { limit.value.withLock { $0 = count } }

  func stop() { listener.stop() }
}
