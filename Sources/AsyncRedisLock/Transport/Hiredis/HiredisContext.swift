internal import CHiredis

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The one owner of a `redisContext`: encodes, writes, reads and parses on a non-blocking socket.
///
/// hiredis does all but the writing: it writes without `MSG_NOSIGNAL` in every version, so that a
/// closed socket would kill the process. After its first error hiredis reads no more, as it documents.
@safe struct HiredisContext: ~Copyable {
  /// How many bytes hiredis reads at a time.
  private static let readSize = 16 * 1024
  /// A larger buffer of commands is given back when it is empty.
  private static let largestIdleBuffer = 256 * 1024
  /// More than any reply this library asks for.
  private static let maximumReplySize = 1 << 20
  /// hiredis before 1.2.1 frees nested replies recursively and can exhaust the stack.
  private static let maximumDepth = 8

  private let context: UnsafeMutablePointer<redisContext>
  private let functions: UnsafeMutablePointer<arl_reader_functions>
  private var bytes: [UInt8] = []
  private var lengths: [Int] = []
  private var pointers: [UnsafePointer<CChar>?] = unsafe []
  /// How much has been read behind the last reply that was handed out.
  private var bytesOfReply = 0
  /// How much has been read in all.
  private(set) var bytesRead = 0
  /// The encoded commands that have not been written, behind some that have.
  private var outgoing: [UInt8] = []
  private var written = 0

  /// Whether commands wait to be written.
  var hasUnsentBytes: Bool { written < outgoing.count }

  /// Takes over a connected socket.
  init(adopting socket: consuming FileDescriptor) throws(TransportError) {
    let descriptor = socket.release()
    guard let context = unsafe redisConnectFd(descriptor) else {
      _ = FileDescriptor(adopting: descriptor)
      throw .unreachable("out of memory")
    }
    unsafe self.context = context
    unsafe functions = .allocate(capacity: 1)
    unsafe context.pointee.flags &= ~REDIS_BLOCK
    unsafe arl_reader_bound_arrays(context.pointee.reader, functions)
  }

  deinit {
    unsafe redisFree(context)
    unsafe functions.deallocate()
  }

  var fileDescriptor: CInt { unsafe context.pointee.fd }

  /// Whether something of a reply has been read that has not been handed out.
  ///
  /// Not asked of hiredis: it has no mark of having taken the first byte of a reply out of its buffer.
  var hasUnparsedBytes: Bool { bytesOfReply > 0 }

  /// Encodes a command behind those that wait to be written; returns the bytes of its arguments.
  mutating func append(_ command: Command) throws(TransportError) -> Int {
    bytes.removeAll(keepingCapacity: bytes.capacity <= Self.readSize)
    lengths.removeAll(keepingCapacity: true)
    unsafe pointers.removeAll(keepingCapacity: true)
    for argument in command.arguments {
      bytes.append(contentsOf: argument.utf8)
      lengths.append(argument.utf8.count)
    }
    var encoded: UnsafeMutablePointer<CChar>?
    let size = unsafe bytes.withUnsafeBytes { buffer in
      var start = unsafe buffer.assumingMemoryBound(to: CChar.self).baseAddress
      for length in lengths {
        unsafe pointers.append(start)
        unsafe start = start.map { unsafe $0 + length }
      }
      return unsafe Int(
        redisFormatCommandArgv(&encoded, CInt(lengths.count), &pointers, lengths))
    }
    guard size >= 0, let start = unsafe encoded else { throw .connectionLost("out of memory") }
    unsafe outgoing.append(contentsOf: UnsafeRawBufferPointer(start: start, count: size))
    unsafe redisFreeCommand(start)
    return bytes.count
  }

  #if canImport(Darwin)
    // Darwin has a socket option instead, see SocketOpener.
    private static let sendFlags: CInt = 0
  #else
    private static let sendFlags = CInt(truncatingIfNeeded: MSG_NOSIGNAL)
  #endif

  /// Writes what the socket takes.
  mutating func write() throws(TransportError) {
    guard hasUnsentBytes else { return }
    let count = unsafe outgoing.withUnsafeBytes { buffer in
      let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[written...])
      return unsafe send(fileDescriptor, rest.baseAddress, rest.count, Self.sendFlags)
    }
    if count < 0 {
      let error = SystemError.current
      if [EAGAIN, EWOULDBLOCK, EINTR].contains(error.rawValue) { return }
      throw .connectionLost("\(error)" + lastWords())
    }
    written += count
    if !hasUnsentBytes {
      outgoing.removeAll(keepingCapacity: outgoing.capacity <= Self.largestIdleBuffer)
      written = 0
    }
  }

  /// Sends commands over the same socket as the last thing, even if this context has met an error.
  mutating func writeFinally(_ commands: [Command]) throws(TransportError) {
    // Behind the half of a command they would make no sense.
    try write()
    guard !hasUnsentBytes else { return }
    for command in commands { _ = try append(command) }
    try write()
  }

  /// How much of what the socket had was read.
  enum Amount {
    case nothing
    case all
    case maybeNotAll
  }

  /// Reads what the socket has, at most as much as hiredis takes at a time.
  ///
  /// - Returns: what it has read: nothing, something, or as much as it can, so that there may be more.
  mutating func read() throws(TransportError) -> Amount {
    let reader = unsafe context.pointee.reader
    let former = unsafe reader?.pointee.len ?? 0
    guard unsafe redisBufferRead(context) == REDIS_OK else { throw failure() }
    let count = unsafe (reader?.pointee.len ?? 0) - former
    bytesOfReply += count
    bytesRead += count
    return count == 0 ? .nothing : count < Self.readSize ? .all : .maybeNotAll
  }

  /// The next complete reply, or nil when more has to be read first.
  mutating func nextReply() throws(TransportError) -> Reply? {
    var object: UnsafeMutableRawPointer?
    guard unsafe redisGetReplyFromReader(context, &object) == REDIS_OK else { throw failure() }
    guard let object = unsafe object else {
      try checkBounds()
      return nil
    }
    defer { unsafe freeReplyObject(object) }
    bytesOfReply = unsafe context.pointee.reader.pointee.len - context.pointee.reader.pointee.pos
    guard let reply = unsafe Reply(copying: object.assumingMemoryBound(to: redisReply.self)) else {
      throw .protocolViolation("a reply of a type that was not asked for")
    }
    return reply
  }

  /// Refuses a reply that grows past what this library asks for.
  private func checkBounds() throws(TransportError) {
    guard let reader = unsafe context.pointee.reader else { return }
    if unsafe Int(reader.pointee.ridx) > Self.maximumDepth {
      throw .protocolViolation("a reply nested too deeply")
    }
    if bytesOfReply > Self.maximumReplySize {
      throw .protocolViolation("a reply of over \(Self.maximumReplySize) bytes")
    }
  }

  /// What the server said before it hung up, if it did: hiredis reads no more after an error.
  private func lastWords() -> String {
    let room = 512
    let words = unsafe withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { buffer in
      let count = unsafe recv(fileDescriptor, buffer.baseAddress, room, 0)
      return unsafe String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
    }
    guard words.hasPrefix("-"), let line = words.dropFirst().split(separator: "\r\n").first else {
      return ""
    }
    return ", after the server said: \(String(line).escaped(upTo: 256))"
  }

  /// The context's error.
  private func failure() -> TransportError {
    let text = unsafe withUnsafeBytes(of: &context.pointee.errstr) { buffer in
      unsafe String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
    switch unsafe context.pointee.err {
    case REDIS_ERR_PROTOCOL: return .protocolViolation(text)
    case REDIS_ERR_OOM: return .protocolViolation("a reply that is too large (\(text))")
    default: return .connectionLost(text.isEmpty ? "connection error" : text)
    }
  }
}
