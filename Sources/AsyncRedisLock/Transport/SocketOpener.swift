#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Opens the connection's socket, trying every address of the server until a deadline.
///
/// hiredis would neither bound the look-up of a name nor try a second address.
struct SocketOpener: StreamOpener {
  let address: LockerConfiguration.Address
  private let resolver = Resolver()

  init(address: LockerConfiguration.Address) { self.address = address }

  func open(by deadline: Instant) throws(TransportError) -> any ByteStream {
    var lastFailure = TransportError.unreachable("no address")
    let targets = try resolver.resolve(address, by: deadline)
    for (index, target) in targets.enumerated() {
      // One address that swallows everything leaves the others their share of the time.
      let now = Instant.now
      let share = now.duration(to: deadline) / (targets.count - index)
      do throws(TransportError) {
        return try connect(to: target, by: now + share)
      } catch {
        lastFailure = error
      }
    }
    throw lastFailure
  }

  private func connect(
    to target: SocketAddress, by deadline: Instant
  ) throws(TransportError) -> SocketStream {
    let number = socket(target.family, SocketAddress.streamType, 0)
    guard number >= 0 else { throw unreachable(.current) }
    return try connect(FileDescriptor(adopting: number), to: target, by: deadline)
  }

  private func connect(
    _ socket: consuming FileDescriptor, to target: SocketAddress, by deadline: Instant
  ) throws(TransportError) -> SocketStream {
    setOptions(of: socket.number, family: target.family)
    if target.connect(socket.number) != 0 {
      let failure = SystemError.current
      // A full backlog of a Unix socket says EAGAIN and cannot be waited for.
      guard failure.rawValue == EINPROGRESS || failure.rawValue == EINTR else {
        throw unreachable(failure)
      }
      try waitUntilWritable(socket.number, by: deadline)
      var code: CInt = 0
      var size = socklen_t(MemoryLayout<CInt>.size)
      unsafe getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &code, &size)
      guard code == 0 else { throw unreachable(SystemError(rawValue: code)) }
    }
    return SocketStream(adopting: socket)
  }

  private func waitUntilWritable(_ number: CInt, by deadline: Instant) throws(TransportError) {
    var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
    while true {
      let left = Instant.now.duration(to: deadline)
      guard left > .zero else { throw .unreachable("no answer to the connection attempt") }
      let ready = unsafe poll(&entry, 1, left.pollTimeout)
      if ready > 0 { return }
      if ready < 0, errno != EINTR { throw unreachable(.current) }
    }
  }

  private func setOptions(of number: CInt, family: CInt) {
    #if canImport(Darwin)
      set(SOL_SOCKET, SO_NOSIGPIPE, 1, of: number)
    #endif
    guard family != AF_UNIX else { return }
    set(CInt(IPPROTO_TCP), TCP_NODELAY, 1, of: number)
    // Finds a peer that vanished without a word while the connection is idle: after 15 s, then
    // three probes 5 s apart.
    set(SOL_SOCKET, SO_KEEPALIVE, 1, of: number)
    #if canImport(Darwin)
      set(CInt(IPPROTO_TCP), TCP_KEEPALIVE, 15, of: number)
    #else
      set(CInt(IPPROTO_TCP), TCP_KEEPIDLE, 15, of: number)
    #endif
    set(CInt(IPPROTO_TCP), TCP_KEEPINTVL, 5, of: number)
    set(CInt(IPPROTO_TCP), TCP_KEEPCNT, 3, of: number)
  }

  private func set(_ level: CInt, _ option: CInt, _ value: CInt, of number: CInt) {
    var value = value
    _ = unsafe setsockopt(number, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
  }

  private func unreachable(_ error: SystemError) -> TransportError {
    .unreachable("\(address): \(error)")
  }
}

extension Duration {
  /// The duration as `poll(2)` takes it: rounded up, so that a deadline has passed when it returns.
  var pollTimeout: CInt {
    guard self > .zero else { return 0 }
    return CInt(clamping: wholeMilliseconds + 1)
  }
}
