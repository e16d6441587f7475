/// A connected stream of bytes that nobody waits in: reading and writing do what can be done at once.
///
/// The seam under all connections: hiredis neither reads nor writes on a socket itself.
package protocol ByteStream: AnyObject, Sendable {
  /// What `poll(2)` and `select(2)` wait for; nil if there is nothing to wait for.
  var descriptor: CInt? { get }

  /// Whether bytes can be read though the descriptor is not readable, as those that were decrypted already.
  var hasBufferedInput: Bool { get }

  /// Whether the stream is connected and has nothing to read, found out without taking anything from it.
  var isIdle: Bool { get }

  /// Reads what is there, as far as there is room; returns the count, zero when there is nothing.
  ///
  /// - Throws: `connectionLost` at the end, too.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Int

  /// Writes as much as is taken at once; returns the count, which may be zero.
  func write(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int
}
