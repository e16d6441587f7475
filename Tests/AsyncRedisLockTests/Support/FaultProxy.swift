// In builds for the thread sanitizer the mutex is that of the library.
import AsyncRedisLock
import Foundation
import PrivateRedis
import Synchronization

/// Stands between the library and a real server, records what both say, and garbles it as told.
///
/// Every connection has one thread for each direction.
final class FaultProxy: Sendable {
  /// Who speaks.
  enum Direction: Sendable, CaseIterable {
    case requests
    case replies
  }

  /// What one read from a socket gave.
  struct Chunk: Sendable {
    let direction: Direction
    /// The number of the connection.
    let connection: Int
    /// The number of the chunk in its connection and direction.
    let index: Int
    /// How many bytes came before it in its connection and direction.
    let offset: Int
    let bytes: [UInt8]
    /// The commands that were completely received on this connection so far, this chunk included.
    let commands: [FakeCommand]
  }

  /// What to do with a chunk.
  enum Verdict: Sendable {
    case forward
    case swallow
    case delay(Duration)
    /// Forwards so many bytes; from then on nothing passes in either direction, and nobody is told.
    case blackhole(after: Int)
    /// Forwards so many bytes, then hangs up on both sides.
    case cut(after: Int)
    /// Forwards so many bytes, then sends RST to the client and hangs up on the server.
    case reset(after: Int)
    case replace([UInt8])
  }

  typealias Script = @Sendable (Chunk) -> Verdict

  let url: String
  private let listener: FakeListener
  private let lines = Lines()

  /// Starts to listen.
  ///
  /// - Throws: `POSIXError`.
  init(to server: RedisServer, _ kind: FakeListener.Kind = .tcp) throws {
    let address: FakeAddress =
      if let path = server.socketPath {
        .unixSocket(path: path)
      } else {
        .tcp(port: UInt16(server.port ?? 0))
      }
    listener = try FakeListener(kind) { [lines] client in
      guard let server = try? FakeWire(connectingTo: address) else { return }
      let number = lines.open(client, server)
      Thread.detachNewThread { lines.pump(.requests, number, from: client, to: server) }
      Thread.detachNewThread { lines.pump(.replies, number, from: server, to: client) }
    }
    url = server.withLogin(listener.address.url)
  }

  deinit { stop() }

  /// What is done from now on; nothing, with nil.
  func setScript(_ script: Script?) { lines.state.withLock { $0.script = script } }

  /// How many connections have been made so far.
  var connectionCount: Int { lines.state.withLock { $0.lines.count } }

  /// All bytes that were received, whatever became of them.
  func received(_ direction: Direction, on connection: Int) -> [UInt8] {
    lines.state.withLock { $0.lines[connection].received[direction] ?? [] }
  }

  /// The commands that were received on all connections, one connection after the other.
  var commands: [FakeCommand] { lines.state.withLock { $0.lines.flatMap(\.commands) } }

  /// Hangs up on everybody and listens no more.
  func stop() {
    listener.stop()
    lines.hangUpAll()
  }
}

/// The connections of a proxy, apart from it so that their threads do not keep it alive.
private final class Lines: Sendable {
  struct Line {
    /// Nil when nobody pumps any more, so that the sockets are closed.
    var wires: (client: FakeWire, server: FakeWire)?
    var openDirections = 2
    var received: [FaultProxy.Direction: [UInt8]] = [:]
    var chunkCount: [FaultProxy.Direction: Int] = [:]
    var parser = FakeCommandParser()
    var commands: [FakeCommand] = []
    var isBlackhole = false
  }

  struct State {
    var lines: [Line] = []
    var script: FaultProxy.Script?
  }

  let state = Mutex(State())

  func open(_ client: FakeWire, _ server: FakeWire) -> Int {
    state.withLock { state in
      state.lines.append(Line(wires: (client, server)))
      return state.lines.count - 1
    }
  }

  func hangUpAll() {
    for line in state.withLock({ $0.lines }) {
      line.wires?.client.hangUp()
      line.wires?.server.hangUp()
    }
  }

  func pump(
    _ direction: FaultProxy.Direction, _ number: Int, from source: FakeWire, to target: FakeWire
  ) {
    while let bytes = source.receive() {
      let (chunk, script, isBlackhole) = record(bytes, direction, number)
      guard !isBlackhole else { continue }
      switch script?(chunk) ?? .forward {
      case .forward: target.write(bytes)
      case .swallow: break
      case .delay(let duration):
        Thread.sleep(forTimeInterval: duration / .seconds(1))
        target.write(bytes)
      case .blackhole(let count):
        state.withLock { $0.lines[number].isBlackhole = true }
        target.write(Array(bytes.prefix(count)))
      case .cut(let count):
        target.write(Array(bytes.prefix(count)))
        source.hangUp()
        target.hangUp()
      case .reset(let count):
        target.write(Array(bytes.prefix(count)))
        let wires = state.withLock { $0.lines[number].wires }
        wires?.server.hangUp()
        wires?.client.reset()
      case .replace(let others): target.write(others)
      }
    }
    let isBlackhole = state.withLock { state in
      state.lines[number].openDirections -= 1
      if state.lines[number].openDirections == 0 { state.lines[number].wires = nil }
      return state.lines[number].isBlackhole
    }
    // Nobody is told what happens on the other side of a black hole.
    if !isBlackhole { target.finish() }
  }

  private func record(
    _ bytes: [UInt8], _ direction: FaultProxy.Direction, _ number: Int
  ) -> (FaultProxy.Chunk, FaultProxy.Script?, isBlackhole: Bool) {
    state.withLock { state in
      if direction == .requests {
        state.lines[number].parser.feed(bytes)
        while let command = state.lines[number].parser.next() {
          state.lines[number].commands.append(command)
        }
      }
      let offset = state.lines[number].received[direction]?.count ?? 0
      let index = state.lines[number].chunkCount[direction] ?? 0
      state.lines[number].received[direction, default: []] += bytes
      state.lines[number].chunkCount[direction] = index + 1
      let chunk = FaultProxy.Chunk(
        direction: direction, connection: number, index: index, offset: offset, bytes: bytes,
        commands: state.lines[number].commands)
      return (chunk, state.script, state.lines[number].isBlackhole)
    }
  }
}
