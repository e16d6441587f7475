import Foundation

/// The address of a fake server, or of a real one.
package enum FakeAddress: Sendable {
  case unixSocket(path: String)
  /// A port at 127.0.0.1.
  case tcp(port: UInt16)

  package var url: String {
    switch self {
    case .unixSocket(let path): "unix://\(path)"
    case .tcp(let port): "redis://127.0.0.1:\(port)"
    }
  }

  var family: CInt {
    if case .tcp = self { AF_INET } else { AF_UNIX }
  }

  func withSocketAddress<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var storage = sockaddr_storage()
    let size: Int
    switch self {
    case .unixSocket(let path):
      size = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { room in
          precondition(path.utf8.count < room.count)
          unsafe room.copyBytes(from: path.utf8)
        }
        unsafe bytes.storeBytes(of: address, as: sockaddr_un.self)
        return MemoryLayout<sockaddr_un>.size
      }
    case .tcp(let port):
      size = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        unsafe bytes.storeBytes(of: address, as: sockaddr_in.self)
        return MemoryLayout<sockaddr_in>.size
      }
    }
    return unsafe withUnsafePointer(to: &storage) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(size))
      }
    }
  }
}
