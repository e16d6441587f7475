/// A connected stream of bytes that never blocks: reading and writing do what can be done at once.
///
/// All connections use it: hiredis neither reads nor writes on a socket itself.
package protocol ByteStream: AnyObject, Sendable {
  /// The descriptor for `poll(2)` and `select(2)`; nil if there is nothing to wait for.
  var descriptor: CInt? { get }

  /// Whether bytes can be read though the descriptor is not readable, such as bytes that are decrypted already.
  var hasBufferedInput: Bool { get }

  /// Whether bytes that were accepted wait for the descriptor to be writable; ``write(_:)`` sends them.
  var hasBufferedOutput: Bool { get }

  /// Whether the stream is connected and has nothing to read; finding out takes nothing from it.
  var isIdle: Bool { get }

  /// The server's verified certificate; nil without TLS.
  var certificate: ServerCertificate? { get }

  /// Reads the available bytes, as far as there is room; returns the count, zero if there are none.
  ///
  /// - Throws: `connectionLost` at the end, too.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Int

  /// Writes as many bytes as are accepted at once; returns the count, which may be zero.
  func write(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int
}

extension ByteStream {
  package var certificate: ServerCertificate? { nil }
}
