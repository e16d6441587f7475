internal import Dispatch

#if canImport(Darwin)
  internal import Darwin
#else
  internal import CEpoll
#endif

extension FileDescriptor {
  /// The readiness that a socket is watched for.
  enum Interest {
    case reading
    case writing
  }

  /// Makes a descriptor for a source to watch instead of a socket.
  ///
  /// On Linux it is readable when the socket is ready; elsewhere it is ready when the socket is.
  ///
  /// On Linux, Dispatch must never see that a socket has been hung up. It then removes the source from its records
  /// on a thread that does not own them, and now and then crashes the process
  /// (https://github.com/swiftlang/swift-corelibs-libdispatch/issues/949). An epoll descriptor with the socket in
  /// it is only ever readable.
  static func watching(
    _ socket: CInt, for interest: Interest
  ) throws(TransportError) -> FileDescriptor {
    #if canImport(Darwin)
      let watch = fcntl(socket, F_DUPFD_CLOEXEC, 0)
    #else
      let watch = arl_epoll_watching(
        socket, interest == .reading ? ARL_EPOLL_READABLE : ARL_EPOLL_WRITABLE)
    #endif
    guard watch >= 0 else { throw .unreachable("\(SystemError.current)") }
    return FileDescriptor(adopting: watch)
  }
}

extension DispatchSource {
  /// Calls the handler on the queue whenever a socket is ready, until the source is cancelled.
  ///
  /// - Throws: `unreachable` if the system lacks the resources.
  static func watching(
    _ socket: CInt, for interest: FileDescriptor.Interest, on queue: DispatchQueue,
    handler: @escaping @Sendable () -> Void
  ) throws(TransportError) -> any DispatchSourceProtocol {
    let watched = Locked(try FileDescriptor.watching(socket, for: interest))
    let number = watched.withLock { $0.number }
    #if canImport(Darwin)
      let source: any DispatchSourceProtocol =
        interest == .reading
        ? makeReadSource(fileDescriptor: number, queue: queue)
        : makeWriteSource(fileDescriptor: number, queue: queue)
    #else
      let source = makeReadSource(fileDescriptor: number, queue: queue)
    #endif
    source.setEventHandler(handler: handler)
    source.setCancelHandler { @Sendable in withExtendedLifetime(watched) {} }
    source.activate()
    return source
  }
}
