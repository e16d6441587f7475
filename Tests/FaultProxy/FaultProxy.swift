import AsyncRedisLock
import Foundation
package import PrivateRedis
import Synchronization

/// Stands between the library and a real server, records what both say, and garbles it as told.
///
/// It takes the streams apart into commands and replies, and asks its script about each. Every connection
/// has one thread for each direction.
package final class FaultProxy: Sendable {
  /// Who speaks.
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
    /// The commands that were received on this connection so far, this one included.
    package let commands: [FakeCommand]

    /// The command, or the one that is answered; nil of a message that nobody asked for.
    package var command: FakeCommand? { index < commands.count ? commands[index] : nil }
  }

  /// Says what to do with a message.
  package typealias Script = @Sendable (Message) -> Fault

  package let url: String
  private let listener: FakeListener
  private let lines: ProxyLines

  /// Starts to listen.
  ///
  /// - Parameters:
  ///   - server: What it stands in front of.
  ///   - kind: What it listens on.
  ///   - isRecording: Whether it keeps what it has seen, which grows without end.
  /// - Throws: `POSIXError`.
  package init(
    to server: RedisServer, _ kind: FakeListener.Kind = .tcp, isRecording: Bool = true
  ) throws {
    lines = ProxyLines(isRecording: isRecording)
    let address: FakeAddress =
      if let path = server.socketPath {
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

  /// What is done from now on; nothing, with nil.
  package func setScript(_ script: Script?) { lines.setScript(script) }

  /// Hangs up at once on everybody who connects, or does so no more.
  package func refuse(_ isRefusing: Bool) { lines.refuse(isRefusing) }

  /// Hangs up on everybody who is connected, in the way of a fault.
  package func strike(_ fault: Fault) { lines.strike(fault) }

  /// How many connections have been made so far.
  package var connectionCount: Int { lines.count }

  /// How often what has gone wrong so far, by kind.
  package var faultCounts: [String: Int] { lines.faultCounts }

  /// All bytes that were received, whatever became of them.
  package func received(_ direction: Direction, on connection: Int) -> [UInt8] {
    lines.received(direction, on: connection)
  }

  /// The commands that were received on all connections, one connection after the other.
  package var commands: [FakeCommand] { lines.commands }

  /// Hangs up on everybody and listens no more.
  package func stop() {
    listener.stop()
    lines.strike(.cut(after: 0), counts: false)
  }
}
