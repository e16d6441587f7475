import AsyncRedisLock
import Foundation
import Synchronization

/// The connections of a proxy, kept apart from it so that their threads do not keep it alive.
final class ProxyLines: Sendable {
  private struct Line {
    /// Nil once both pumps have ended, so that the sockets are closed.
    var wires: (client: FakeWire, server: FakeWire)?
    var openDirections = 2
    var received: [FaultProxy.Direction: [UInt8]] = [:]
    var messageCount: [FaultProxy.Direction: Int] = [:]
    /// How many bytes of complete messages there were.
    var offset: [FaultProxy.Direction: Int] = [:]
    var commands: [FakeCommand] = []
    var isBlackhole = false
    /// Whether bytes that have already arrived are discarded.
    var isReset = false
    /// Whether the client is reset as soon as it sends anything.
    var isOver = false
  }

  private struct State {
    var lines: [Line] = []
    var script: FaultProxy.Script?
    var isRefusing = false
    var faultCounts: [String: Int] = [:]
  }

  private let isRecording: Bool
  private let state = Locked(State())

  init(isRecording: Bool) { self.isRecording = isRecording }

  // MARK: Seen from the proxy

  func setScript(_ script: FaultProxy.Script?) { state.withLock { $0.script = script } }

  func refuse(_ isRefusing: Bool) { state.withLock { $0.isRefusing = isRefusing } }

  /// Whether connections are refused; each is counted.
  var isRefusing: Bool {
    state.withLock { state in
      if state.isRefusing { state.faultCounts["refused", default: 0] += 1 }
      return state.isRefusing
    }
  }

  var count: Int { state.withLock { $0.lines.count } }
  var faultCounts: [String: Int] { state.withLock { $0.faultCounts } }
  var commands: [FakeCommand] { state.withLock { $0.lines.flatMap(\.commands) } }

  func received(_ direction: FaultProxy.Direction, on connection: Int) -> [UInt8] {
    state.withLock { $0.lines[connection].received[direction] ?? [] }
  }

  func open(_ client: FakeWire, _ server: FakeWire) -> Int {
    state.withLock { state in
      state.lines.append(Line(wires: (client, server)))
      return state.lines.count - 1
    }
  }

  func strike(_ fault: Fault, counts: Bool = true) {
    let open = state.withLock { state in
      state.lines.indices.compactMap { index in state.lines[index].wires.map { (index, $0) } }
    }
    for (number, wires) in open {
      if counts { note(fault) }
      end(fault, number, from: wires.server, to: wires.client)
    }
  }

  // MARK: Pumping

  func pump(
    _ direction: FaultProxy.Direction, _ number: Int, from source: FakeWire, to target: FakeWire
  ) {
    var splitter = MessageSplitter()
    while let bytes = source.receive() {
      splitter.feed(bytes)
      guard note(bytes, direction, number, source) else { continue }
      while let message = splitter.next() {
        let (fault, passes) = judge(message, direction, number)
        guard passes else { continue }
        note(fault)
        pass(message, fault, number, from: source, to: target)
      }
    }
    let isSilent = state.withLock { state in
      let isSilent = state.lines[number].isBlackhole
      state.lines[number].openDirections -= 1
      if state.lines[number].openDirections == 0 { state.lines[number].wires = nil }
      return isSilent
    }
    // Neither side is told what happens on the other side of a black hole.
    if !isSilent { target.finish() }
  }

  /// Notes bytes; false if the line is over.
  private func note(
    _ bytes: [UInt8], _ direction: FaultProxy.Direction, _ number: Int, _ source: FakeWire
  ) -> Bool {
    let isOver = state.withLock { state in
      if isRecording { state.lines[number].received[direction, default: []] += bytes }
      return state.lines[number].isOver
    }
    if isOver, direction == .requests { source.reset() }
    return !isOver
  }

  private func note(_ fault: Fault) {
    guard let kind = fault.kind else { return }
    state.withLock { $0.faultCounts[kind, default: 0] += 1 }
  }

  /// Asks the script about a message.
  private func judge(
    _ bytes: [UInt8], _ direction: FaultProxy.Direction, _ number: Int
  ) -> (Fault, passes: Bool) {
    let (message, script, passes) = state.withLock { state in
      if isRecording, direction == .requests {
        state.lines[number].commands.append(FakeCommand(bytes))
      }
      let offset = state.lines[number].offset[direction] ?? 0
      let index = state.lines[number].messageCount[direction] ?? 0
      state.lines[number].offset[direction] = offset + bytes.count
      state.lines[number].messageCount[direction] = index + 1
      let message = FaultProxy.Message(
        direction: direction, connection: number, index: index, offset: offset, bytes: bytes,
        commands: state.lines[number].commands)
      let line = state.lines[number]
      return (message, state.script, !line.isBlackhole && !line.isReset)
    }
    return (passes ? script?(message) ?? .forward : .forward, passes)
  }

  private func pass(
    _ bytes: [UInt8], _ fault: Fault, _ number: Int, from source: FakeWire, to target: FakeWire
  ) {
    switch fault {
    case .forward: target.write(bytes)
    case .swallow: break
    case .duplicate: target.write(bytes + bytes)
    case .replace(let others): target.write(others)
    case .delay(let duration):
      Thread.sleep(forTimeInterval: duration / .seconds(1))
      target.write(bytes)
    case .drip(let count, let pause):
      for start in stride(from: 0, to: bytes.count, by: count) {
        if start > 0 { Thread.sleep(forTimeInterval: pause / .seconds(1)) }
        target.write(Array(bytes[start..<min(start + count, bytes.count)]))
      }
    case .blackhole(let count), .cut(let count), .reset(let count), .finishThenReset(let count),
      .halfClose(let count):
      target.write(Array(bytes.prefix(count)))
      end(fault, number, from: source, to: target)
    }
  }

  /// Ends a line in the way of a fault.
  private func end(_ fault: Fault, _ number: Int, from source: FakeWire, to target: FakeWire) {
    let wires = state.withLock { state in
      if case .blackhole = fault { state.lines[number].isBlackhole = true }
      if case .finishThenReset = fault { state.lines[number].isOver = true }
      if case .reset = fault { state.lines[number].isReset = true }
      return state.lines[number].wires
    }
    switch fault {
    case .cut:
      source.hangUp()
      target.hangUp()
    case .reset:
      wires?.server.hangUp()
      wires?.client.reset()
    case .finishThenReset: wires?.client.finish()
    case .halfClose: target.finish()
    default: break
    }
  }
}
