#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// An open file descriptor, closed when it goes out of scope.
struct FileDescriptor: ~Copyable, Sendable {
  let number: CInt

  /// Takes over a descriptor and makes it non-blocking and invisible to child processes.
  init(adopting number: CInt) {
    self.number = number
    _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK)
    _ = fcntl(number, F_SETFD, FD_CLOEXEC)
  }

  deinit { close(number) }
}
