import Foundation

#if canImport(Glibc)
  private let streamType = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
  private let noSignal = Int32(MSG_NOSIGNAL)
  private let dontWait = Int32(MSG_DONTWAIT)
  private let peek = Int32(MSG_PEEK)
#else
  private let streamType = SOCK_STREAM
  private let noSignal: Int32 = 0  // SO_NOSIGPIPE is used instead.
  private let dontWait = MSG_DONTWAIT
  private let peek = MSG_PEEK
#endif

/// A blocking stream socket that no child inherits and that never raises SIGPIPE.
final class Socket: Sendable {
  let descriptor: Int32

  private init(descriptor: Int32) {
    self.descriptor = descriptor
    #if canImport(Darwin)
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      setOption(SO_NOSIGPIPE, to: Int32(1))
    #endif
  }

  /// Makes an unconnected socket of the family.
  ///
  /// - Throws: ``RedisError/connection(_:)``.
  convenience init(family: Int32) throws {
    let descriptor = socket(family, streamType, 0)
    guard descriptor >= 0 else { throw Self.failure("socket") }
    self.init(descriptor: descriptor)
  }

  /// Connects; each write and each read may then take as long as the timeout.
  ///
  /// - Throws: ``RedisError/connection(_:)``.
  convenience init(connectingTo endpoint: Endpoint, timeout seconds: Int) throws {
    let result: Int32
    switch endpoint {
    case .unixSocket(let path):
      try self.init(family: AF_UNIX)
      result = try unsafe Self.withAddress(path: path) { unsafe connect(descriptor, $0, $1) }
    case .tcp(let port):
      try self.init(family: AF_INET)
      result = unsafe Self.withAddress(port: port) { unsafe connect(descriptor, $0, $1) }
    }
    guard result == 0 else { throw Self.failure("connect to \(endpoint.url)") }
    var limit = timeval()
    limit.tv_sec = seconds
    setOption(SO_RCVTIMEO, to: limit)
    setOption(SO_SNDTIMEO, to: limit)
  }

  /// Makes two sockets that are connected to each other.
  ///
  /// - Throws: ``RedisError/connection(_:)``.
  static func pair() throws -> (Socket, Socket) {
    var descriptors: [Int32] = [-1, -1]
    guard unsafe socketpair(AF_UNIX, streamType, 0, &descriptors) == 0 else {
      throw failure("socketpair")
    }
    return (Socket(descriptor: descriptors[0]), Socket(descriptor: descriptors[1]))
  }

  deinit {
    close(descriptor)
  }

  /// Tells whether the port at 127.0.0.1 can be bound.
  func canBind(port: UInt16) -> Bool {
    unsafe Self.withAddress(port: port) { unsafe bind(descriptor, $0, $1) } == 0
  }

  /// Whether the other side has closed the connection or sent something unexpected.
  var isStale: Bool {
    var byte: UInt8 = 0
    return unsafe recv(descriptor, &byte, 1, peek | dontWait) >= 0
      || (errno != EAGAIN && errno != EINTR)
  }

  /// Writes all of the bytes.
  ///
  /// - Throws: ``RedisError/connection(_:)``.
  func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe send(descriptor, $0.baseAddress, $0.count, noSignal)
      }
      if count > 0 {
        rest.removeFirst(count)
      } else if errno != EINTR {
        throw Self.failure("write")
      }
    }
  }

  /// Reads the available bytes, at least one.
  ///
  /// - Throws: ``RedisError/connection(_:)``, also if the other side has closed the connection.
  func read() throws -> [UInt8] {
    while true {
      var bytes = [UInt8](repeating: 0, count: 16_384)
      let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
      if count > 0 { return Array(bytes.prefix(count)) }
      guard count < 0 else { throw RedisError.connection("read: the server hung up") }
      if errno != EINTR { throw Self.failure("read") }
    }
  }
}
