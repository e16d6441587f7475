import Foundation

/// Arguments for the C calls: addresses, options and error numbers.
extension Socket {
  /// Calls the body with the address of a Unix socket.
  static func withAddress<Result>(
    path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) throws -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < capacity else {
      throw RedisError.connection("\(path) is too long for a socket")
    }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) {
      unsafe $0.copyBytes(from: path.utf8)
    }
    return unsafe withGenericAddress(&address, body)
  }

  /// Calls the body with an address at 127.0.0.1.
  static func withAddress<Result>(
    port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return unsafe withGenericAddress(&address, body)
  }

  private static func withGenericAddress<Address, Result>(
    _ address: inout Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<Address>.size))
      }
    }
  }

  /// Sets an option at the level of the socket itself.
  func setOption<Value: BitwiseCopyable>(_ name: Int32, to value: Value) {
    var value = value
    _ = unsafe setsockopt(
      descriptor, SOL_SOCKET, name, &value, socklen_t(MemoryLayout<Value>.size))
  }

  /// The error of the C call that has just failed.
  static func failure(_ call: String) -> RedisError {
    .connection("\(call): \(errno == EAGAIN ? "no answer in time" : errorText(errno))")
  }
}
