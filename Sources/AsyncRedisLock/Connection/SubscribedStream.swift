internal import Synchronization

/// One connection of a ``Subscriber``, from its login to its end.
final class SubscribedStream: Sendable {
  private struct State: ~Copyable {
    var stream: CommandStream
    var source: (any WorkSource)?
    /// The replies to the login; nil once it has been judged.
    var loginReplies: [Reply]? = []
    /// The channels whose subscription the server has yet to confirm.
    var unconfirmed: Set<String>
    var isSubscribed: Bool { unconfirmed.isEmpty }
    var isSilentSincePing = false
  }

  /// An arrival, in order, once the stream is subscribed to its channels.
  enum Arrival: Sendable {
    case message(String)
    /// The answer to a ``probe()``: all messages published before it have arrived.
    case probed
  }

  /// More than thousands of grants at once; only a flood goes beyond that without a pause.
  private static let largestBurst = 4 << 20

  private let handshake: Handshake
  private let loginCount: Int
  private let channels: [String]
  private let state: Locked<State>

  /// Sends the login and the subscription on a stream.
  init(
    on bytes: any ByteStream, handshake: Handshake, channels: [String]
  ) throws(TransportError) {
    let commands = handshake.commands()
    self.handshake = handshake
    self.channels = channels
    loginCount = commands.count
    var stream = try CommandStream(on: bytes)
    for command in commands + [Command(["SUBSCRIBE"] + channels)] { stream.append(command) }
    try stream.write()
    guard !stream.hasUnsentBytes else { throw .unreachable("the server accepts no data") }
    state = Locked(State(stream: stream, unconfirmed: Set(channels)))
  }

  /// Whether the server has confirmed the subscriptions.
  var isSubscribed: Bool { state.withLock { $0.isSubscribed } }

  /// Whether nothing arrived since the last ``ping()``.
  var isSilentSincePing: Bool { state.withLock { $0.isSilentSincePing } }

  /// Calls the handler on the queue whenever there is something to receive.
  func start(
    on queue: any WorkQueue, handler: @escaping @Sendable () -> Void
  ) throws(TransportError) {
    let source = try queue.watch(state.withLock { $0.stream.stream }, handler)
    state.withLock { $0.source = source }
  }

  /// Ends the connection.
  func cancel() {
    state.withLock { state in
      state.source?.cancel()
      state.source = nil
    }
  }

  /// Asks the server for a sign of life; returns false if that cannot be sent.
  func ping() -> Bool {
    state.withLock { state in
      state.isSilentSincePing = true
      return Self.send(Command("PING"), &state)
    }
  }

  /// Asks the server for ``Arrival/probed``; returns false if that cannot be sent.
  func probe() -> Bool { state.withLock { Self.send(Command("PING", Self.probeText), &$0) } }

  /// Tells the answer to a probe from the answer to a ping.
  private static let probeText = "probe"

  private static func send(_ command: Command, _ state: inout State) -> Bool {
    do throws(TransportError) {
      state.stream.append(command)
      try state.stream.write()
      return true
    } catch {
      return false
    }
  }

  /// Reads all that has arrived.
  func receive() throws(TransportError) -> [Arrival] {
    let result: Result<[Arrival], TransportError> = state.withLock { state in
      Result { () throws(TransportError) in
        var arrivals: [Arrival] = []
        var mayHaveMore = true
        let former = state.stream.bytesRead
        while mayHaveMore {
          _ = try state.stream.read()
          if state.stream.bytesRead - former > Self.largestBurst {
            throw TransportError.protocolViolation("an endless stream of messages")
          }
          // Also checks for the end, which may come with the last bytes: not every source reports that alone.
          mayHaveMore = !state.stream.isIdle
          while let reply = try state.stream.nextReply() {
            state.isSilentSincePing = false
            if let arrival = try accept(reply, &state) { arrivals.append(arrival) }
          }
        }
        return arrivals
      }
    }
    return try result.get()
  }

  /// Processes a reply; returns nil if it is of no interest to the listener.
  private func accept(_ reply: Reply, _ state: inout State) throws(TransportError) -> Arrival? {
    if var replies = state.loginReplies {
      if replies.count < loginCount, reply.error?.code != .maxClients {
        replies.append(reply)
        state.loginReplies = replies
        return nil
      }
      try handshake.check(reply.error?.code == .maxClients ? [reply] : replies)
      state.loginReplies = nil
    }
    switch reply {
    case .array(let fields) where fields.count == 3:
      guard case .string(let channel) = fields[1], channels.contains(channel) else { break }
      if fields[0] == .string("subscribe") {
        state.unconfirmed.remove(channel)
        return nil
      }
      if fields[0] == .string("message"), case .string(let text) = fields[2] {
        return .message(text)
      }
    case .array(let fields) where fields.first == .string("pong"):
      return fields.last == .string(Self.probeText) ? .probed : nil
    case .error(let hidden):
      let error = handshake.conceal(hidden)
      throw error.remedy == .fail ? .refused(error) : .unreachable(error.message)
    default: break
    }
    throw .protocolViolation("a reply that is not a pub/sub message")
  }
}
