internal import Dispatch
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Looks up the addresses of a server, bounded in time though the system's look-up is not.
///
/// A look-up that hangs goes on in its own thread, and the addresses found last are used meanwhile.
final class Resolver: Sendable {
  // A look-up may hang, and Dispatch has so many threads of a quality: not of that which extensions need.
  private let queue = DispatchQueue(label: "async-redis-lock.resolver", qos: .utility)
  private struct State {
    var known: [SocketAddress] = []
    var current: LookUp?
  }

  private let state = Locked(State())

  /// The server's addresses, in the order to try them.
  func resolve(
    _ address: LockerConfiguration.Address, by deadline: Instant
  ) throws(TransportError) -> [SocketAddress] {
    switch address.kind {
    case .unixSocket(let path):
      guard let address = SocketAddress(path: path) else {
        throw .unreachable("the socket's path is too long")
      }
      return [address]
    case .tcp(let host, let port):
      // An address needs no look-up, so it must not wait behind one that hangs.
      if let numeric = try? Self.lookUp(host, port, flags: AI_NUMERICHOST).get() { return numeric }
      return try lookUp(host, port, by: deadline)
    }
  }

  private func lookUp(
    _ host: String, _ port: UInt16, by deadline: Instant
  ) throws(TransportError) -> [SocketAddress] {
    let former = state.withLock { $0.known }
    // With addresses to fall back on, half of the time is kept for connecting to them.
    let left = Instant.now.duration(to: deadline)
    switch currentLookUp(host, port).wait(for: former.isEmpty ? left : left / 2) {
    case .success(let found)?:
      return found
    case .failure(let failure)?:
      guard !former.isEmpty else { throw failure }
    case nil:
      guard !former.isEmpty else { throw .unreachable("looking up \(host) took too long") }
    }
    return former
  }

  /// The look-up that goes on, or a new one: while one hangs, no further ones are started.
  private func currentLookUp(_ host: String, _ port: UInt16) -> LookUp {
    state.withLock { state in
      if let current = state.current { return current }
      let lookUp = LookUp()
      state.current = lookUp
      queue.async { @Sendable in
        let result = Self.lookUp(host, port, flags: 0)
        self.state.withLock { state in
          state.current = nil
          if case .success(let found) = result { state.known = found }
        }
        lookUp.finish(result)
      }
      return lookUp
    }
  }

  private static func lookUp(
    _ host: String, _ port: UInt16, flags: CInt
  ) -> Result<[SocketAddress], TransportError> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = AF_UNSPEC
    #if canImport(Darwin)
      unsafe hints.ai_socktype = SOCK_STREAM
    #else
      unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    #endif
    unsafe hints.ai_flags = flags
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard status == 0 else {
      let reason = unsafe gai_strerror(status).map { unsafe String(cString: $0) }
      return .failure(.unreachable("looking up \(host): \(reason ?? "error \(status)")"))
    }
    defer { unsafe freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next {
      if let address = unsafe entry.pointee.ai_addr {
        unsafe found.append(
          SocketAddress(copying: address, length: entry.pointee.ai_addrlen))
      }
      unsafe next = entry.pointee.ai_next
    }
    return .success(found)
  }
}

/// One look-up's outcome, handed from the thread that looks to the one that waits.
private final class LookUp: Sendable {
  private let result = Locked<Result<[SocketAddress], TransportError>?>(nil)
  private let isDone = DispatchSemaphore(value: 0)

  func finish(_ result: Result<[SocketAddress], TransportError>) {
    self.result.withLock { $0 = result }
    isDone.signal()
  }

  /// The outcome, or nil when there is none in time.
  func wait(for duration: Duration) -> Result<[SocketAddress], TransportError>? {
    _ = isDone.wait(timeout: .now() + .milliseconds(Int(duration.wholeMilliseconds)))
    return result.withLock { $0 }
  }
}
