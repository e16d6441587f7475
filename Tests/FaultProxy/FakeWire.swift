import Foundation

#if canImport(Glibc)
  let streamType = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
  private let noSignal = CInt(MSG_NOSIGNAL)
#else
  let streamType = SOCK_STREAM
  private let noSignal: CInt = 0  // SO_NOSIGPIPE is used instead.
#endif

/// A blocking stream socket of a fake server or a proxy.
///
/// Any thread may end the conversation. The descriptor itself is closed once no thread uses it, so its number never
/// belongs to another socket meanwhile.
package final class FakeWire: Sendable {
  package let descriptor: CInt

  package init(adopting descriptor: CInt) {
    self.descriptor = descriptor
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    #if canImport(Darwin)
      set(SO_NOSIGPIPE, to: CInt(1))
    #endif
    // Has no effect on a Unix socket. On TCP, the system would otherwise hold back data until its last packet is
    // acknowledged.
    set(TCP_NODELAY, to: CInt(1), level: CInt(IPPROTO_TCP))
  }

  /// Connects to a Unix socket, or to a port at 127.0.0.1.
  ///
  /// - Throws: `POSIXError`.
  package convenience init(connectingTo address: FakeAddress) throws {
    self.init(adopting: socket(address.family, streamType, 0))
    guard connect(to: address) else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
  }

  /// Makes two connected Unix sockets: a wire, and the other end's descriptor.
  ///
  /// - Throws: `POSIXError`.
  package static func pair() throws -> (FakeWire, CInt) {
    var ends: [CInt] = [-1, -1]
    guard unsafe socketpair(AF_UNIX, streamType, 0, &ends) == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
    return (FakeWire(adopting: ends[0]), ends[1])
  }

  deinit { close(descriptor) }

  /// Waits for bytes; nil if no more will come.
  package func receive() -> [UInt8]? {
    while true {
      var bytes = [UInt8](repeating: 0, count: 16_384)
      let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
      if count > 0 { return Array(bytes.prefix(count)) }
      if count == 0 || errno != EINTR { return nil }
    }
  }

  /// Sends bytes; returns how many the system took before the other side was gone.
  @discardableResult
  package func write(_ bytes: [UInt8]) -> Int {
    var sent = 0
    while sent < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[sent...])
        return unsafe send(descriptor, rest.baseAddress, rest.count, noSignal)
      }
      if count > 0 { sent += count } else if errno != EINTR { break }
    }
    return sent
  }

  /// Announces that nothing more will be sent, but goes on receiving.
  package func finish() { shutdown(descriptor, CInt(SHUT_WR)) }

  /// Ends the conversation in both directions.
  package func hangUp() { shutdown(descriptor, CInt(SHUT_RDWR)) }

  /// Ends the conversation with a reset, as soon as the threads that use the socket have noticed.
  package func reset() {
    set(SO_LINGER, to: linger(l_onoff: 1, l_linger: 0))
    shutdown(descriptor, CInt(SHUT_RD))
  }

  /// Binds the socket to an address.
  ///
  /// - Throws: `POSIXError`.
  package func bind(to address: FakeAddress) throws {
    let status = unsafe address.withSocketAddress { unsafe Foundation.bind(descriptor, $0, $1) }
    guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  }

  /// Connects to an address, or starts to if the socket is non-blocking.
  @discardableResult
  package func connect(to address: FakeAddress) -> Bool {
    unsafe address.withSocketAddress { unsafe Foundation.connect(descriptor, $0, $1) } == 0
  }

  /// The port that the system has chosen.
  package var port: UInt16 {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = unsafe withUnsafeMutablePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(descriptor, $0, &size)
      }
    }
    return UInt16(bigEndian: address.sin_port)
  }

  private func set<Value: BitwiseCopyable>(
    _ option: CInt, to value: Value, level: CInt = SOL_SOCKET
  ) {
    var value = value
    _ = unsafe setsockopt(
      descriptor, level, option, &value, socklen_t(MemoryLayout<Value>.size))
  }
}
