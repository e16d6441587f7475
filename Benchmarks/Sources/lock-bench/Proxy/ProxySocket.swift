internal import CFloor
import Foundation

/// The socket calls of a proxy.
enum ProxySocket {
  #if canImport(Darwin)
    private static let stream = SOCK_STREAM
    private static let quiet: CInt = 0
  #else
    private static let stream = CInt(SOCK_STREAM.rawValue)
    private static let quiet = CInt(MSG_NOSIGNAL)
  #endif

  /// Makes a socket that listens on a free port of 127.0.0.1.
  static func listen() throws -> (descriptor: CInt, port: UInt16) {
    let descriptor = socket(AF_INET, stream, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe bind(descriptor, address, size) == 0 && Foundation.listen(descriptor, 1024) == 0
          && getsockname(descriptor, address, &size) == 0
      }
    }
    guard isListening else { throw BenchError("the proxy cannot listen") }
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }

  /// Accepts a pending connection.
  static func accept(_ listener: CInt) -> CInt? {
    let descriptor = Foundation.accept(listener, nil, nil)
    guard descriptor >= 0 else { return nil }
    var on: CInt = 1
    unsafe setsockopt(
      descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    return descriptor
  }

  /// Reads the available bytes; none if the other side has ended.
  static func read(_ descriptor: CInt) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
      count = unsafe max(0, recv(descriptor, buffer.baseAddress, buffer.count, 0))
    }
  }

  /// Writes all of the bytes, and tells whether that succeeded.
  static func write(_ bytes: [UInt8], to descriptor: CInt) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe send(descriptor, $0.baseAddress, $0.count, quiet)
      }
      guard count > 0 else { return false }
      rest.removeFirst(count)
    }
    return true
  }

  /// How late a wait may end; for shorter times it is better not to wait at all.
  private static let lateness: UInt64 = 50_000

  /// Waits until one of the sockets is readable, or until shortly before the instant.
  static func wait(for polls: inout [pollfd], until instant: UInt64?) {
    let soon = Monotonic.now() + lateness
    let rest = instant.map { $0 > soon ? $0 - soon : 0 }
    unsafe lockbench_poll(&polls, nfds_t(polls.count), rest.map(Int64.init) ?? -1)
  }
}
