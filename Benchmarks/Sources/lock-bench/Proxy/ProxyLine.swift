import Foundation

/// One direction of a connection through the proxy.
struct ProxyLine {
  let source: CInt
  let target: CInt
  /// Whether more bytes may come.
  private(set) var isOpen = true
  private var chunks: [(due: UInt64, bytes: [UInt8])] = []

  init(from source: CInt, to target: CInt) {
    self.source = source
    self.target = target
  }

  /// The instant at which the next bytes are due to be sent.
  var due: UInt64? { chunks.first?.due }

  var isDone: Bool { !isOpen && chunks.isEmpty }

  /// Takes the bytes that have arrived.
  mutating func receive(delay: UInt64) {
    let bytes = ProxySocket.read(source)
    if bytes.isEmpty { isOpen = false }
    chunks.append((Monotonic.now() + delay, bytes))
  }

  /// Forwards the bytes that have been delayed long enough.
  mutating func send(at now: UInt64) {
    let count = chunks.prefix { $0.due <= now }.count
    for chunk in chunks.prefix(count) {
      if chunk.bytes.isEmpty {
        shutdown(target, CInt(SHUT_WR))
      } else if !ProxySocket.write(chunk.bytes, to: target) {
        isOpen = false
      }
    }
    chunks.removeFirst(count)
  }
}
