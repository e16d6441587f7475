// In builds for the thread sanitizer the mutex is that of the library.
import AsyncRedisLock
import Dispatch
import Foundation
import Synchronization

#if canImport(Glibc)
  private let streamType = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
  private let noSignal = CInt(MSG_NOSIGNAL)
#else
  private let streamType = SOCK_STREAM
  private let noSignal: CInt = 0  // SO_NOSIGPIPE does it instead.
#endif

/// A blocking stream socket of a fake server or a proxy.
///
/// Any thread may end the conversation; the descriptor itself is closed when nobody uses it any more,
/// so that its number is never another socket's.
final class FakeWire: Sendable {
  let descriptor: CInt

  init(adopting descriptor: CInt) {
    self.descriptor = descriptor
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    #if canImport(Darwin)
      set(SO_NOSIGPIPE, to: CInt(1))
    #endif
    // Does nothing to a Unix socket. Without it the system keeps what follows on an answer to itself.
    set(TCP_NODELAY, to: CInt(1), level: CInt(IPPROTO_TCP))
  }

  /// Connects to a Unix socket, or to a port at 127.0.0.1.
  ///
  /// - Throws: `POSIXError`.
  convenience init(connectingTo address: FakeAddress) throws {
    self.init(adopting: socket(address.family, streamType, 0))
    guard connect(to: address) else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
  }

  deinit { close(descriptor) }

  /// Waits for bytes; nil when there will be none.
  func receive() -> [UInt8]? {
    while true {
      var bytes = [UInt8](repeating: 0, count: 16_384)
      let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
      if count > 0 { return Array(bytes.prefix(count)) }
      if count == 0 || errno != EINTR { return nil }
    }
  }

  /// Sends bytes; returns how many the system took before the other side was gone.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Int {
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

  /// Says that nothing more will be sent, and goes on receiving.
  func finish() { shutdown(descriptor, CInt(SHUT_WR)) }

  /// Ends the conversation in both directions.
  func hangUp() { shutdown(descriptor, CInt(SHUT_RDWR)) }

  /// Ends the conversation with a reset, as soon as the threads that use the socket have noticed.
  func reset() {
    set(SO_LINGER, to: linger(l_onoff: 1, l_linger: 0))
    shutdown(descriptor, CInt(SHUT_RD))
  }

  /// Takes an address.
  ///
  /// - Throws: `POSIXError`.
  func bind(to address: FakeAddress) throws {
    let status = unsafe address.withSocketAddress { unsafe Foundation.bind(descriptor, $0, $1) }
    guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  }

  /// Connects to an address, or begins to, if the socket does not wait for it.
  @discardableResult
  func connect(to address: FakeAddress) -> Bool {
    unsafe address.withSocketAddress { unsafe Foundation.connect(descriptor, $0, $1) } == 0
  }

  /// The port that the system has chosen.
  var port: UInt16 {
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

/// Where a fake server listens, or a real one.
enum FakeAddress: Sendable {
  case unixSocket(path: String)
  /// A port at 127.0.0.1.
  case tcp(port: UInt16)

  var url: String {
    switch self {
    case .unixSocket(let path): "unix://\(path)"
    case .tcp(let port): "redis://127.0.0.1:\(port)"
    }
  }

  fileprivate var family: CInt {
    if case .tcp = self { AF_INET } else { AF_UNIX }
  }

  fileprivate func withSocketAddress<Result>(
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

/// Accepts connections at an address of its own.
final class FakeListener: Sendable {
  let address: FakeAddress
  private let source: Mutex<(any DispatchSourceRead)?>

  /// What to listen on.
  enum Kind: Sendable {
    case tcp
    case unixSocket
  }

  /// Listens from now on, until ``stop()``.
  ///
  /// - Parameters:
  ///   - kind: What to listen on; the system chooses the port.
  ///   - isOpen: When false, the address is taken, but every connection is refused.
  ///   - accepted: Gets each new connection.
  /// - Throws: `POSIXError`.
  init(
    _ kind: Kind, isOpen: Bool = true, accepted: @escaping @Sendable (FakeWire) -> Void
  ) throws {
    var wanted = FakeAddress.tcp(port: 0)
    if case .unixSocket = kind {
      let name = "fake-" + String(UInt64.random(in: .min ... .max), radix: 36)
      wanted = .unixSocket(path: "/tmp/\(name)")
    }
    let wire = FakeWire(adopting: socket(wanted.family, streamType, 0))
    try wire.bind(to: wanted)
    address = kind == .tcp ? .tcp(port: wire.port) : wanted
    if isOpen { listen(wire.descriptor, 128) }
    let address = address
    source = Mutex(nil)
    source.withLock { current in
      let queue = DispatchQueue(label: "fake-listener", qos: .userInteractive)
      let source = DispatchSource.makeReadSource(fileDescriptor: wire.descriptor, queue: queue)
      source.setEventHandler { @Sendable in
        let descriptor = accept(wire.descriptor, nil, nil)
        if descriptor >= 0 { accepted(FakeWire(adopting: descriptor)) }
      }
      source.setCancelHandler { @Sendable in
        // Keeps the socket open until now.
        _ = wire.descriptor
        if case .unixSocket(let path) = address { unsafe unlink(path) }
      }
      source.activate()
      current = source
    }
  }

  deinit { stop() }

  /// Accepts nothing more; who tries to connect is refused.
  func stop() {
    source.withLock { source in
      source?.cancel()
      source = nil
    }
  }
}
