import AsyncRedisLock
import Foundation
package import PrivateRedis
import Synchronization

/// Sits between the library and a real server, records the messages of both, and garbles them as told.
///
/// The proxy splits the streams into commands and replies, and asks its script about each. Every connection has one
/// thread for each direction.
package final class FaultProxy: Sendable {
  /// The direction of a message.
  package enum Direction: Sendable, CaseIterable {
    case requests
    case replies
  }

  /// A command or a reply.
  package struct Message: Sendable {
    package let direction: Direction
    /// The number of the connection.
    package let connection: Int
    /// The number of the message in its connection and direction.
    package let index: Int
    /// How many bytes came before it in its connection and direction.
    package let offset: Int
    package let bytes: [UInt8]
    /// The commands received on this connection so far, this one included.
    package let commands: [FakeCommand]

    /// The command, or the one that is answered; nil for a message without a command.
    package var command: FakeCommand? { index < commands.count ? commands[index] : nil }
  }

  /// Decides what to do with a message.
  package typealias Script = @Sendable (Message) -> Fault

  package let url: String
  private let listener: FakeListener
  private let lines: ProxyLines

  /// Starts to listen.
  ///
  /// - Parameters:
  ///   - server: The server behind the proxy.
  ///   - kind: The kind of address to listen on.
  ///   - port: Another port of the server to connect to, such as that for TLS.
  ///   - isRecording: Whether the proxy keeps all messages, which grows without limit.
  /// - Throws: `POSIXError`.
  package init(
    to server: RedisServer, _ kind: FakeListener.Kind = .tcp, port: Int? = nil,
    isRecording: Bool = true
  ) throws {
    lines = ProxyLines(isRecording: isRecording)
    let address: FakeAddress =
      if let port {
        .tcp(port: UInt16(port))
      } else if let path = server.socketPath {
        .unixSocket(path: path)
      } else {
        .tcp(port: UInt16(server.port ?? 0))
      }
    listener = try FakeListener(kind) { [lines] client in
      guard !lines.isRefusing, let server = try? FakeWire(connectingTo: address) else { return }
      let number = lines.open(client, server)
      Thread.detachNewThread { lines.pump(.requests, number, from: client, to: server) }
      Thread.detachNewThread { lines.pump(.replies, number, from: server, to: client) }
    }
    url = server.withLogin(listener.address.url)
  }

  deinit { stop() }

  /// Sets the script that decides from now on; nil forwards everything.
  package func setScript(_ script: Script?) { lines.setScript(script) }

  /// Makes the proxy hang up at once on every new connection, or stops that.
  package func refuse(_ isRefusing: Bool) { lines.refuse(isRefusing) }

  /// Ends all present connections in the way of a fault.
  package func strike(_ fault: Fault) { lines.strike(fault) }

  /// How many connections have been made so far.
  package var connectionCount: Int { lines.count }

  /// How often each kind of fault has occurred so far.
  package var faultCounts: [String: Int] { lines.faultCounts }

  /// All bytes received in a direction, whatever became of them.
  package func received(_ direction: Direction, on connection: Int) -> [UInt8] {
    lines.received(direction, on: connection)
  }

  /// The commands received on all connections, one connection after the other.
  package var commands: [FakeCommand] { lines.commands }

  /// Hangs up on all clients and stops listening.
  package func stop() {
    listener.stop()
    lines.strike(.cut(after: 0), counts: false)
  }
}
