import AsyncRedisLock

/// The client's end of a connection.
// Unchecked: one thread runs a simulation.
final class SimulatedStream: ByteStream, @unchecked Sendable {
  private let line: Line
  private var input: [UInt8] = []
  private var start = 0
  /// The reason why nothing more will come.
  private var end: String?
  private var sources: [SimulatedQueue.Source] = []

  init(of line: Line) { self.line = line }

  deinit { line.clientCloses() }

  var descriptor: CInt? { nil }

  var hasBufferedInput: Bool { false }

  var hasBufferedOutput: Bool { false }

  var isIdle: Bool { end == nil && start == input.count }

  var isReadable: Bool { !isIdle }

  var hasEnded: Bool { end != nil }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Int {
    let count = min(input.count - start, buffer.count)
    guard count > 0 else {
      if let end { throw .connectionLost(end) }
      return 0
    }
    unsafe buffer.copyBytes(from: input[start..<start + count])
    start += count
    if start == input.count { (input, start) = ([], 0) }
    return count
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
    if end != nil { throw .connectionLost("Broken pipe") }
    let count = line.acceptsAll() ? bytes.count : 1 + line.pick(bytes.count)
    unsafe line.send(Array(bytes.prefix(count)))
    return count
  }

  // MARK: From the network

  func receive(_ bytes: some Sequence<UInt8>) {
    guard end == nil else { return }
    input += bytes
    tell()
  }

  /// Ends the stream; a reset also discards what has not been read.
  func end(_ reason: String, isReset: Bool) {
    guard end == nil else { return }
    end = reason
    if isReset { (input, start) = ([], 0) }
    tell()
  }

  private func tell() {
    sources.removeAll { $0.isOver }
    for source in sources { source.fire() }
  }

  func add(_ source: SimulatedQueue.Source) {
    sources.append(source)
    if isReadable { source.fire() }
  }

  /// Delivers at once what is on its way, as if from a nearby server.
  func hurry(within time: Int64) { line.hurry(within: time) }
}
