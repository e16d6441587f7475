#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A pair of sockets that ends a `poll(2)` of another thread; `pipe(2)` cannot close on exec at once.
struct WakePair: ~Copyable, Sendable {
  private let readEnd: FileDescriptor
  private let writeEnd: FileDescriptor

  init() throws(SystemError) {
    var ends: [CInt] = [-1, -1]
    guard unsafe socketpair(AF_UNIX, SocketAddress.streamType, 0, &ends) == 0 else {
      throw .current
    }
    readEnd = FileDescriptor(adopting: ends[0])
    writeEnd = FileDescriptor(adopting: ends[1])
  }

  /// The descriptor to poll for reading.
  var fileDescriptor: CInt { readEnd.number }

  /// Ends the poll that goes on, or the next one.
  func wake() {
    var byte: UInt8 = 0
    // A full pipe wakes as well as one more byte would; the reader is never closed, so no SIGPIPE.
    while unsafe write(writeEnd.number, &byte, 1) < 0, errno == EINTR {}
  }

  /// Forgets all wakes so far.
  func drain() {
    let room = 64
    unsafe withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { buffer in
      while unsafe read(readEnd.number, buffer.baseAddress, room) == room {}
    }
  }
}
