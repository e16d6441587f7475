#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A plain socket, without any layer in between.
final class SocketStream: ByteStream {
  private let socket: FileDescriptor

  /// Takes over a connected socket.
  init(adopting socket: consuming FileDescriptor) { self.socket = socket }

  var descriptor: CInt? { socket.number }

  var hasBufferedInput: Bool { false }

  var hasBufferedOutput: Bool { false }

  private static let peekFlags =
    CInt(truncatingIfNeeded: MSG_PEEK) | CInt(truncatingIfNeeded: MSG_DONTWAIT)

  var isIdle: Bool {
    var byte: UInt8 = 0
    let count = unsafe recv(socket.number, &byte, 1, Self.peekFlags)
    return count < 0 && (errno == EAGAIN || errno == EINTR)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Int {
    let count = unsafe recv(socket.number, buffer.baseAddress, buffer.count, 0)
    if count > 0 { return count }
    guard count < 0 else { throw .connectionLost("Server closed the connection") }
    return try Self.nothing()
  }

  #if canImport(Darwin)
    // Darwin has a socket option instead, see SocketOpener.
    private static let sendFlags: CInt = 0
  #else
    private static let sendFlags = CInt(truncatingIfNeeded: MSG_NOSIGNAL)
  #endif

  func write(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
    let count = unsafe send(socket.number, bytes.baseAddress, bytes.count, Self.sendFlags)
    return count < 0 ? try Self.nothing() : count
  }

  /// Handles a failed call: returns zero for "nothing this time", throws for "never again".
  private static func nothing() throws(TransportError) -> Int {
    let error = SystemError.current
    if [EAGAIN, EWOULDBLOCK, EINTR].contains(error.rawValue) { return 0 }
    throw .connectionLost("\(error)")
  }
}
