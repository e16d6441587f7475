internal import CHiredis
internal import DequeModule

/// Sends commands and receives replies on a stream of bytes; hiredis parses the replies.
///
/// The stream itself reads and writes. hiredis would write without `MSG_NOSIGNAL`, so a closed socket would kill
/// the process, and it supports only its own streams. Commands are encoded here, and the smallest replies are read
/// in place, which saves most of hiredis's allocations; hiredis reads all other replies.
@safe struct CommandStream: ~Copyable {
  /// How many bytes are read at a time.
  private static let readSize = 16 * 1024
  /// A larger buffer of commands is freed when it is empty.
  private static let largestIdleBuffer = 256 * 1024
  /// The largest replies to accept.
  struct Bounds {
    let elements: Int32
    let bytes: Int

    /// More than any reply that locks need.
    static let usual = Self(elements: 1024, bytes: 1 << 20)
    /// As many slots as there are, each on its own; nodes with all their replicas take half of these bytes.
    static let slotsOfCluster = Self(elements: 16384, bytes: 4 << 20)
  }

  /// hiredis before 1.2.1 frees nested replies recursively and can exhaust the stack.
  private static let maximumDepth = 8

  let stream: any ByteStream
  private let reader: UnsafeMutablePointer<redisReader>
  private let functions: UnsafeMutablePointer<arl_reader_functions>
  /// Memory for what is read, which is too much for the stack.
  private let input: UnsafeMutableRawBufferPointer
  private let largestReply: Int
  private let mayRepeatPassword: @Sendable (String) -> Bool
  /// Replies that were read in place.
  private var small: Deque<Reply> = []
  /// How many bytes of an unfinished reply have been left to hiredis.
  private var bytesOfReply = 0
  /// How many bytes have been read in all.
  private(set) var bytesRead = 0
  /// The encoded commands; some at the beginning may be written already.
  private var outgoing = CommandBuffer()
  private var written = 0

  /// Whether commands wait to be written.
  var hasUnsentBytes: Bool { unsentCount > 0 || stream.hasBufferedOutput }

  /// Whether the stream is connected and has nothing to read.
  var isIdle: Bool { stream.isIdle }

  /// How many encoded bytes wait to be written.
  var unsentCount: Int { outgoing.count - written }

  /// Begins to communicate on a stream.
  ///
  /// `mayRepeatPassword` tells which words of the server no error may show.
  init(
    on stream: any ByteStream, bounds: Bounds = .usual,
    mayRepeatPassword: @escaping @Sendable (String) -> Bool
  ) throws(TransportError) {
    guard let reader = unsafe redisReaderCreate() else { throw .unreachable("out of memory") }
    self.stream = stream
    largestReply = bounds.bytes
    self.mayRepeatPassword = mayRepeatPassword
    unsafe self.reader = reader
    unsafe functions = .allocate(capacity: 1)
    unsafe arl_reader_bound_arrays(reader, functions, bounds.elements)
    unsafe input = .allocate(byteCount: Self.readSize, alignment: 1)
  }

  deinit {
    unsafe redisReaderFree(reader)
    unsafe functions.deallocate()
    unsafe input.deallocate()
  }

  /// Whether a part of an unfinished reply has been read.
  ///
  /// hiredis cannot tell: it does not record that it has taken the first byte of a reply out of its buffer.
  var hasUnparsedBytes: Bool { bytesOfReply > 0 }

  /// Encodes a command after those that wait to be written.
  mutating func append(_ command: Command) { outgoing.append(command, question: 0) }

  /// Calls a function that encodes commands after those that wait to be written.
  mutating func append<Result>(_ encode: (inout CommandBuffer) -> Result) -> Result {
    encode(&outgoing)
  }

  /// Writes as much as the stream accepts.
  mutating func write() throws(TransportError) {
    guard hasUnsentBytes else { return }
    do throws(TransportError) {
      let stream = stream
      written += try unsafe outgoing.withBytes(from: written) { bytes throws(TransportError) in
        try unsafe stream.write(bytes)
      }
    } catch .connectionLost(let reason) {
      throw .connectionLost(reason + lastWords())
    }
    if !hasUnsentBytes {
      outgoing.removeAll(keepingCapacity: Self.largestIdleBuffer)
      written = 0
    }
  }

  /// Sends commands as the last ones, even if reading has failed.
  mutating func writeFinally(_ commands: borrowing CommandBuffer) throws(TransportError) {
    // After half of a command they would make no sense.
    try write()
    guard !hasUnsentBytes else { return }
    outgoing.append(commands)
    try write()
  }

  /// How much of the available input has been read.
  enum Amount {
    case nothing
    case all
    case maybeNotAll
  }

  /// Reads the available bytes, up to a limit at a time.
  ///
  /// - Returns: Whether it has read nothing, something, or as much as it can, so that there may be more.
  mutating func read() throws(TransportError) -> Amount {
    let count = try unsafe stream.read(into: input)
    guard count > 0 else { return .nothing }
    var rest = unsafe UnsafeRawBufferPointer(rebasing: input[..<count])
    // Not after a part of a reply that hiredis has.
    if bytesOfReply == 0 { unsafe readSmallReplies(&rest) }
    if unsafe !rest.isEmpty {
      let start = unsafe rest.baseAddress?.assumingMemoryBound(to: CChar.self)
      guard unsafe redisReaderFeed(reader, start, rest.count) == REDIS_OK else { throw failure() }
      bytesOfReply += rest.count
    }
    bytesRead += count
    return count < Self.readSize ? .all : .maybeNotAll
  }

  /// Reads as many replies in place as possible, and removes them from the bytes.
  private mutating func readSmallReplies(_ bytes: inout UnsafeRawBufferPointer) {
    var reading = unsafe SmallReplies(bytes)
    while let reply = reading.next() { small.append(reply) }
    unsafe bytes = UnsafeRawBufferPointer(rebasing: bytes[reading.position...])
  }

  /// The next complete reply; nil if more must be read first.
  mutating func nextReply() throws(TransportError) -> Reply? {
    if let reply = small.popFirst() { return reply }
    guard bytesOfReply > 0 else { return nil }
    var object: UnsafeMutableRawPointer?
    guard unsafe redisReaderGetReply(reader, &object) == REDIS_OK else { throw failure() }
    guard let object = unsafe object else {
      try checkBounds()
      return nil
    }
    defer { unsafe freeReplyObject(object) }
    bytesOfReply = unsafe reader.pointee.len - reader.pointee.pos
    guard let reply = unsafe Reply(copying: object.assumingMemoryBound(to: redisReply.self)) else {
      throw .protocolViolation("a reply of an unexpected type")
    }
    return reply
  }

  /// Refuses a reply that grows beyond what this library asks for.
  private func checkBounds() throws(TransportError) {
    if unsafe Int(reader.pointee.ridx) > Self.maximumDepth {
      throw .protocolViolation("a reply nested too deeply")
    }
    if bytesOfReply > largestReply {
      throw .protocolViolation("a reply of over \(largestReply) bytes")
    }
  }

  /// The server's words before it hung up, if any: after an error, nothing more is read.
  private func lastWords() -> String {
    let room = 512
    let words = unsafe withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { buffer in
      let count = unsafe (try? stream.read(into: buffer)) ?? 0
      return unsafe String(decoding: buffer.prefix(count), as: UTF8.self)
    }
    guard words.hasPrefix("-"), let line = words.dropFirst().split(separator: "\r\n").first else {
      return ""
    }
    let text = String(line).escaped(upTo: 256)
    return mayRepeatPassword(text)
      ? ", after words of the server that may repeat the password"
      : ", after the server said: \(text)"
  }

  /// The reader's error.
  private func failure() -> TransportError {
    let text = unsafe withUnsafeBytes(of: &reader.pointee.errstr) { buffer in
      unsafe String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
    return unsafe reader.pointee.err == REDIS_ERR_OOM
      ? .protocolViolation("a reply that is too large (\(text))") : .protocolViolation(text)
  }
}
