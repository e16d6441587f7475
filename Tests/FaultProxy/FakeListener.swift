import AsyncRedisLock
import Dispatch
import Foundation
import Synchronization

/// Accepts connections at an address of its own.
package final class FakeListener: Sendable {
  private struct State {
    /// Keeps the address taken.
    var wire: FakeWire?
    var source: (any DispatchSourceRead)?
  }

  package let address: FakeAddress
  private let state: Locked<State>

  /// The kind of address to listen on.
  package enum Kind: Sendable {
    case tcp
    case unixSocket
  }

  /// Listens from now on, until ``stop()``.
  ///
  /// - Parameters:
  ///   - kind: The kind of address; the system chooses the port.
  ///   - isOpen: When false, the address is taken, but every connection is refused.
  ///   - accepted: Gets each new connection.
  /// - Throws: `POSIXError`.
  package init(
    _ kind: Kind, isOpen: Bool = true, accepted: @escaping @Sendable (FakeWire) -> Void
  ) throws {
    var wanted = FakeAddress.tcp(port: 0)
    if case .unixSocket = kind {
      let name = "fake-" + String(UInt64.random(in: .min ... .max), radix: 36)
      // The path of a socket has at most 104 bytes, and the temporary folder of macOS takes half of them.
      wanted = .unixSocket(path: "/tmp/\(name)")
    }
    let wire = FakeWire(adopting: socket(wanted.family, streamType, 0))
    try wire.bind(to: wanted)
    address = kind == .tcp ? .tcp(port: wire.port) : wanted
    state = Locked(State(wire: wire))
    // A socket that does not listen counts as hung up, and Dispatch on Linux must not see that
    // (https://github.com/swiftlang/swift-corelibs-libdispatch/issues/949).
    guard isOpen else { return }
    listen(wire.descriptor, 128)
    let queue = DispatchQueue(label: "fake-listener", qos: .userInteractive)
    state.withLock { state in
      let source = DispatchSource.makeReadSource(fileDescriptor: wire.descriptor, queue: queue)
      source.setEventHandler { @Sendable in
        let descriptor = accept(wire.descriptor, nil, nil)
        if descriptor >= 0 { accepted(FakeWire(adopting: descriptor)) }
      }
      // Keeps the socket open until then.
      source.setCancelHandler { @Sendable in withExtendedLifetime(wire) {} }
      source.activate()
      state.source = source
    }
  }

  deinit { stop() }

  /// Stops accepting connections; new ones are refused.
  package func stop() {
    let former = state.withLock { state in
      defer { state = State() }
      return state
    }
    former.source?.cancel()
    if former.wire != nil, case .unixSocket(let path) = address { unsafe unlink(path) }
  }
}
