internal import CFloor
import Foundation

/// The thread of a ``DelayingProxy``.
struct ProxyLoop {
  private struct Connection {
    let client: CInt
    /// Owns the socket to the server, and has logged in if necessary.
    let server: HiredisConnection
    var lines: [ProxyLine]
  }

  let listener: CInt
  let upstream: String
  let oneWay: UInt64
  private var connections: [Connection] = []

  init(listener: CInt, upstream: String, oneWay: UInt64) {
    self.listener = listener
    self.upstream = upstream
    self.oneWay = oneWay
  }

  /// Forwards everything that arrives, for ever.
  mutating func run() {
    lockbench_exact_timers()
    while true {
      var polls = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
      polls += connections.flatMap(\.lines).map { line in
        pollfd(fd: line.isOpen ? line.source : -1, events: Int16(POLLIN), revents: 0)
      }
      let due = connections.flatMap(\.lines).compactMap(\.due).min()
      ProxySocket.wait(for: &polls, until: due)
      pass(polls.dropFirst().map { $0.revents != 0 })
      if polls[0].revents != 0 { accept() }
    }
  }

  private mutating func pass(_ isReadable: [Bool]) {
    let now = Monotonic.now()
    for (number, isReadable) in isReadable.enumerated() {
      let (connection, line) = (number / 2, number % 2)
      if isReadable { connections[connection].lines[line].receive(delay: oneWay) }
      connections[connection].lines[line].send(at: now)
    }
    for connection in connections where connection.lines.allSatisfy(\.isDone) {
      close(connection.client)
    }
    connections.removeAll { $0.lines.allSatisfy(\.isDone) }
  }

  private mutating func accept() {
    guard let client = ProxySocket.accept(listener) else { return }
    guard let server = try? HiredisConnection(url: upstream) else {
      close(client)
      return
    }
    connections.append(
      Connection(
        client: client, server: server,
        lines: [
          ProxyLine(from: client, to: server.descriptor),
          ProxyLine(from: server.descriptor, to: client),
        ]))
  }
}
