#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// What a socket is waited for, and what it turned out to be ready for.
struct SocketReadiness {
  let socket: CInt
  let wantsToWrite: Bool
  private(set) var canRead = false
  private(set) var canWrite = false

  init(socket: CInt, wantsToWrite: Bool) {
    self.socket = socket
    self.wantsToWrite = wantsToWrite
  }

  /// Waits for at most so many microseconds for the socket alone; tells whether it can be read.
  mutating func canRead(within microseconds: Int) -> Bool {
    canRead = BriefWait.isReadable(socket, within: microseconds)
    return canRead
  }

  /// Waits for the socket, if there is one, or for another descriptor to be readable.
  ///
  /// - Returns: whether the other descriptor is readable.
  static func wait(
    _ readiness: inout SocketReadiness?, orFor other: CInt, until deadline: Instant?
  ) -> Bool {
    let wanted = Int16(POLLIN) | (readiness?.wantsToWrite == true ? Int16(POLLOUT) : 0)
    // poll(2) ignores an entry with a negative descriptor.
    var entries = (
      pollfd(fd: other, events: Int16(POLLIN), revents: 0),
      pollfd(fd: readiness?.socket ?? -1, events: wanted, revents: 0)
    )
    var ready: CInt
    repeat {
      let timeout = deadline.map { Instant.now.duration(to: $0).pollTimeout } ?? -1
      ready = unsafe withUnsafeMutableBytes(of: &entries) { buffer in
        unsafe poll(buffer.bindMemory(to: pollfd.self).baseAddress, 2, timeout)
      }
    } while ready < 0 && errno == EINTR
    guard ready > 0 else { return false }
    let events = entries.1.revents
    readiness?.canWrite = events & Int16(POLLOUT) != 0
    // A broken socket shows its error when it is read.
    readiness?.canRead = events & ~Int16(POLLOUT) != 0
    return entries.0.revents != 0
  }

  private static let peekFlags =
    CInt(truncatingIfNeeded: MSG_PEEK) | CInt(truncatingIfNeeded: MSG_DONTWAIT)

  /// Whether an idle socket is still connected and silent, without taking anything from it.
  static func isIdle(_ socket: CInt) -> Bool {
    var byte: UInt8 = 0
    let count = unsafe recv(socket, &byte, 1, Self.peekFlags)
    return count < 0 && (errno == EAGAIN || errno == EINTR)
  }
}
