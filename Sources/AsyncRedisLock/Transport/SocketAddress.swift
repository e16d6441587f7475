#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// An address of any family, as the bytes of its `sockaddr`.
struct SocketAddress: Sendable {
  private let bytes: [UInt8]
  let family: CInt

  /// Copies a `sockaddr`.
  init(copying address: UnsafePointer<sockaddr>, length: socklen_t) {
    unsafe bytes = Array(UnsafeRawBufferPointer(start: address, count: Int(length)))
    unsafe family = CInt(address.pointee.sa_family)
  }

  /// The address of a Unix-domain socket; nil if the path is too long for one.
  init?(path: String) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { room in
      guard path.utf8.count < room.count else { return false }
      unsafe room.copyBytes(from: path.utf8)
      return true
    }
    guard fits else { return nil }
    bytes = unsafe withUnsafeBytes(of: address) { unsafe Array($0) }
    family = AF_UNIX
  }

  /// The type of stream sockets; if the system can do that, child processes never inherit them.
  static var streamType: CInt {
    #if canImport(Darwin)
      SOCK_STREAM
    #else
      CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    #endif
  }

  /// Calls `connect(2)` with this address.
  func connect(_ socket: CInt) -> CInt {
    unsafe bytes.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return -1 }
      #if canImport(Darwin)
        return unsafe Darwin.connect(
          socket, start.assumingMemoryBound(to: sockaddr.self), socklen_t(buffer.count))
      #else
        return unsafe Glibc.connect(
          socket, start.assumingMemoryBound(to: sockaddr.self), socklen_t(buffer.count))
      #endif
    }
  }
}
