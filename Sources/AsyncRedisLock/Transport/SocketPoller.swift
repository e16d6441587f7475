#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Waits in `poll(2)`, which a pair of sockets interrupts, and in `select(2)` for less than a millisecond.
final class SocketPoller: Poller {
  // A pair of sockets, because `pipe(2)` cannot set close-on-exec in the same step.
  private let readEnd: FileDescriptor
  private let writeEnd: FileDescriptor

  init() throws(TransportError) {
    var ends: [CInt] = [-1, -1]
    guard unsafe socketpair(AF_UNIX, SocketAddress.streamType, 0, &ends) == 0 else {
      throw .unreachable("\(SystemError.current)")
    }
    readEnd = FileDescriptor(adopting: ends[0])
    writeEnd = FileDescriptor(adopting: ends[1])
  }

  func wake() {
    var byte: UInt8 = 0
    // A full pipe wakes as well as one more byte would; the reader is never closed, so there is no SIGPIPE.
    while unsafe write(writeEnd.number, &byte, 1) < 0, errno == EINTR {}
  }

  /// Forgets all wakes so far.
  private func drain() {
    let room = 64
    unsafe withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { buffer in
      while unsafe read(readEnd.number, buffer.baseAddress, room) == room {}
    }
  }

  func wait(for stream: (any ByteStream)?, toWrite: Bool, until deadline: Instant) -> Readiness {
    let wanted = Int16(POLLIN) | (toWrite ? Int16(POLLOUT) : 0)
    let hasInput = stream?.hasBufferedInput == true
    // poll(2) ignores an entry with a negative descriptor.
    var entries = (
      pollfd(fd: readEnd.number, events: Int16(POLLIN), revents: 0),
      pollfd(fd: stream?.descriptor ?? -1, events: wanted, revents: 0)
    )
    var ready: CInt
    repeat {
      let timeout = hasInput ? 0 : Instant.now.duration(to: deadline).pollTimeout
      ready = unsafe withUnsafeMutableBytes(of: &entries) { buffer in
        unsafe poll(buffer.bindMemory(to: pollfd.self).baseAddress, 2, timeout)
      }
    } while ready < 0 && errno == EINTR
    guard ready > 0 else { return Readiness(canRead: hasInput) }
    let events = entries.1.revents
    let isWoken = entries.0.revents != 0
    if isWoken { drain() }
    // A broken socket shows its error when it is read.
    return Readiness(
      isWoken: isWoken, canRead: hasInput || events & ~Int16(POLLOUT) != 0,
      canWrite: events & Int16(POLLOUT) != 0)
  }

  func canRead(_ stream: any ByteStream, within microseconds: Int) -> Bool {
    stream.hasBufferedInput || isReadable(stream.descriptor ?? -1, within: microseconds)
  }

  func rest(for microseconds: Int) {
    if isReadable(readEnd.number, within: microseconds) { drain() }
  }

  func letOthersRun() { sched_yield() }

  /// Whether a descriptor becomes readable within so many microseconds.
  ///
  /// False at once if `select(2)` cannot take the descriptor: it is available everywhere, unlike `ppoll(2)`, but
  /// takes no large numbers.
  private func isReadable(_ descriptor: CInt, within microseconds: Int) -> Bool {
    guard descriptor >= 0, descriptor < FD_SETSIZE else { return false }
    var set = fd_set()
    unsafe withUnsafeMutableBytes(of: &set) { bytes in
      // The set is an array of machine words, and these machines are little-endian.
      unsafe bytes[Int(descriptor) / 8] |= 1 << UInt8(descriptor % 8)
    }
    // The fields of `timeval`, whose names some builds find in a module that cannot be imported.
    var timeout: (seconds: time_t, microseconds: suseconds_t) = (
      0, numericCast(min(max(microseconds, 0), 999_999))
    )
    return unsafe withUnsafeMutablePointer(to: &timeout) { pointer in
      let raw = UnsafeMutableRawPointer(pointer)
      return unsafe select(
        descriptor + 1, &set, nil, nil, raw.assumingMemoryBound(to: timeval.self)) > 0
    }
  }
}

extension Duration {
  /// The duration for `poll(2)`: rounded up, so that a deadline has passed when it returns.
  fileprivate var pollTimeout: CInt {
    guard self > .zero else { return 0 }
    return CInt(clamping: wholeMilliseconds + 1)
  }
}
