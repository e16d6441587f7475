#if canImport(Darwin)
  internal import Darwin
#else
  internal import CEpoll
#endif

extension FileDescriptor {
  /// Makes a descriptor that can be read whenever a socket can, for a read source to watch instead of
  /// it.
  ///
  /// On Linux Dispatch must never see that a socket has been hung up: it then takes the source from its
  /// books on a thread that does not own them, and now and then crashes the process
  /// (https://github.com/swiftlang/swift-corelibs-libdispatch/issues/949). An epoll descriptor with
  /// the socket in it is only ever readable.
  static func watching(_ socket: CInt) throws(TransportError) -> FileDescriptor {
    #if canImport(Darwin)
      let watch = fcntl(socket, F_DUPFD_CLOEXEC, 0)
    #else
      let watch = arl_epoll_watching(socket)
    #endif
    guard watch >= 0 else { throw .unreachable("\(SystemError.current)") }
    return FileDescriptor(adopting: watch)
  }
}
