internal import Synchronization

/// One connection of a ``ShardSubscriber``, from its login to its end.
final class ShardStream: Sendable {
  private struct State: ~Copyable {
    var stream: CommandStream
    var source: (any WorkSource)?
    /// The replies to the login; nil once it has been judged.
    var loginReplies: [Reply]? = []
    /// The channels that were asked for and are not confirmed, in order: an error names none.
    var asked: [String] = []
    var isSilentSincePing = false
  }

  /// An arrival, in order.
  enum Arrival: Sendable {
    case subscribed(String)
    case message(String, on: String)
    /// The server has refused a channel.
    case refused(String, ServerError)
    /// The server has ended a subscription, because its slot has moved.
    case ended(String)
    /// The answer to a ``probe()``: all messages published before it have arrived.
    case probed
  }

  /// More than thousands of grants at once; only a flood goes beyond that without a pause.
  private static let largestBurst = 4 << 20

  private let handshake: Handshake
  private let loginCount: Int
  private let state: Locked<State>

  /// Sends the login on a stream, and asks for channels.
  init(
    on bytes: any ByteStream, handshake: Handshake, channels: [String]
  ) throws(TransportError) {
    let commands = handshake.commands()
    self.handshake = handshake
    loginCount = commands.count
    var stream = try CommandStream(on: bytes)
    for command in commands { stream.append(command) }
    // Each alone: they are in different slots.
    for channel in channels { stream.append(Self.subscription(to: channel)) }
    try stream.write()
    guard !stream.hasUnsentBytes else { throw .unreachable("the server accepts no data") }
    var state = State(stream: stream)
    state.asked = channels
    self.state = Locked(state)
  }

  private static func subscription(to channel: String) -> Command { Command("SSUBSCRIBE", channel) }

  /// Whether the login has succeeded.
  var isLoggedIn: Bool { state.withLock { $0.loginReplies == nil } }

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

  /// Asks for a channel; returns false if that cannot be sent.
  func subscribe(to channel: String) -> Bool {
    state.withLock { state in
      state.asked.append(channel)
      return Self.send(Self.subscription(to: channel), &state)
    }
  }

  /// Asks the server for a sign of life; returns false if that cannot be sent.
  func ping() -> Bool {
    state.withLock { state in
      state.isSilentSincePing = true
      return Self.send(Command("PING", Self.pingText), &state)
    }
  }

  /// Asks the server for ``Arrival/probed``; returns false if that cannot be sent.
  func probe() -> Bool { state.withLock { Self.send(Command("PING", Self.probeText), &$0) } }

  private static let pingText = "ping"
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

  /// Processes a reply; returns nil if it is of no interest.
  private func accept(_ reply: Reply, _ state: inout State) throws(TransportError) -> Arrival? {
    if var replies = state.loginReplies {
      replies.append(reply)
      let isFull = reply.error?.code == .maxClients
      guard isFull || replies.count == loginCount else {
        state.loginReplies = replies
        return nil
      }
      try handshake.check(isFull ? [reply] : replies)
      state.loginReplies = nil
      return nil
    }
    switch reply {
    case .array(let fields) where fields.count == 3:
      guard case .string(let channel) = fields[1] else { break }
      switch fields[0] {
      case .string("ssubscribe"):
        guard let place = state.asked.firstIndex(of: channel) else { break }
        state.asked.remove(at: place)
        return .subscribed(channel)
      case .string("smessage"):
        if case .string(let text) = fields[2] { return .message(text, on: channel) }
      case .string("sunsubscribe"): return .ended(channel)
      default: break
      }
    case .array(let fields) where fields.count == 2 && fields[0] == .string("pong"):
      return fields[1] == .string(Self.probeText) ? .probed : nil
    // Without a subscription, the server answers as on any connection.
    case .string(Self.probeText): return .probed
    case .string(Self.pingText): return nil
    case .error(let hidden):
      let error = handshake.conceal(hidden)
      guard !state.asked.isEmpty else {
        throw error.remedy == .fail ? .refused(error) : .unreachable(error.message)
      }
      return .refused(state.asked.removeFirst(), error)
    default: break
    }
    throw .protocolViolation("a reply that is not a pub/sub message")
  }
}
