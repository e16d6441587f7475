// In builds for the thread sanitizer the mutex is that of the library.
import AsyncRedisLock
import Dispatch
import Foundation
import Synchronization

/// Accepts connections at an address of its own.
package final class FakeListener: Sendable {
  package let address: FakeAddress
  private let source: Mutex<(any DispatchSourceRead)?>

  /// What to listen on.
  package enum Kind: Sendable {
    case tcp
    case unixSocket
  }

  /// Listens from now on, until ``stop()``.
  ///
  /// - Parameters:
  ///   - kind: What to listen on; the system chooses the port.
  ///   - isOpen: When false, the address is taken, but every connection is refused.
  ///   - accepted: Gets each new connection.
  /// - Throws: `POSIXError`.
  package init(
    _ kind: Kind, isOpen: Bool = true, accepted: @escaping @Sendable (FakeWire) -> Void
  ) throws {
    var wanted = FakeAddress.tcp(port: 0)
    if case .unixSocket = kind {
      let name = "fake-" + String(UInt64.random(in: .min ... .max), radix: 36)
      wanted = .unixSocket(path: "/tmp/\(name)")
    }
    let wire = FakeWire(adopting: socket(wanted.family, streamType, 0))
    guard unsafe wanted.withSocketAddress({ unsafe bind(wire.descriptor, $0, $1) }) == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
    address = kind == .tcp ? .tcp(port: Self.port(of: wire)) : wanted
    if isOpen { listen(wire.descriptor, 128) }
    let address = address
    source = Mutex(nil)
    source.withLock { current in
      let queue = DispatchQueue(label: "fake-listener", qos: .userInteractive)
      let source = DispatchSource.makeReadSource(fileDescriptor: wire.descriptor, queue: queue)
      source.setEventHandler { @Sendable in
        let descriptor = accept(wire.descriptor, nil, nil)
        if descriptor >= 0 { accepted(FakeWire(adopting: descriptor)) }
      }
      source.setCancelHandler { @Sendable in
        // Keeps the socket open until now.
        _ = wire.descriptor
        if case .unixSocket(let path) = address { unsafe unlink(path) }
      }
      source.activate()
      current = source
    }
  }

  deinit { stop() }

  /// Accepts nothing more; who tries to connect is refused.
  package func stop() {
    source.withLock { source in
      source?.cancel()
      source = nil
    }
  }

  private static func port(of wire: FakeWire) -> UInt16 {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = unsafe withUnsafeMutablePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(wire.descriptor, $0, &size)
      }
    }
    return UInt16(bigEndian: address.sin_port)
  }
}
