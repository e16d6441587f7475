import FaultProxy
import Foundation
import PrivateRedis
import Testing

/// A subscriber to one channel, and the bytes it has been sent.
final class Listener: Sendable {
  private let wire: FakeWire
  private let received = Shared("")

  init(channel: String) throws {
    guard let path = RedisServer.current.socketPath else {
      throw RedisError.connection("the server has no socket")
    }
    wire = try FakeWire(connectingTo: .unixSocket(path: path))
    wire.write(Array("SUBSCRIBE \(channel)\r\n".utf8))
    guard let confirmation = wire.receive() else {
      throw RedisError.connection("not subscribed")
    }
    #expect(String(decoding: confirmation, as: UTF8.self).contains("subscribe"))
    Thread.detachNewThread { [wire, received] in
      while let bytes = wire.receive() {
        received.value += String(decoding: bytes, as: UTF8.self)
      }
    }
  }

  deinit { wire.hangUp() }

  /// All bulk strings that came behind the channel's name.
  var messages: [String] {
    let lines = received.value.split(separator: "\r\n", omittingEmptySubsequences: false)
    return lines.indices.filter { lines[$0] == "message" && $0 + 4 < lines.count }
      .map { String(lines[$0 + 4]) }
  }
}
