internal import Synchronization

/// One connection of a ``ListeningConnection``, from its login to its end.
final class MessageStream: Sendable {
  /// What the channels are.
  enum Kind: Sendable {
    /// All are in one subscription, without which the stream is of no use.
    case plain
    /// Each is in a slot of its own, and may be refused or ended alone.
    case sharded

    fileprivate var command: String { self == .plain ? "SUBSCRIBE" : "SSUBSCRIBE" }
    fileprivate var confirmation: String { self == .plain ? "subscribe" : "ssubscribe" }
    fileprivate var message: String { self == .plain ? "message" : "smessage" }
  }

  private struct State: ~Copyable {
    var stream: CommandStream
    var source: (any WorkSource)?
    /// The replies to the login; nil once it has been judged.
    var loginReplies: [Reply]? = []
    /// All channels that were ever asked for.
    var channels: Set<String>
    /// The channels that were asked for and are not confirmed, in order: an error names none.
    var unconfirmed: [String]
    var isSilentSincePing = false
  }

  /// An arrival, in order.
  enum Arrival: Sendable {
    case subscribed(String)
    case message(String, on: String)
    /// The server has refused a channel that is sharded.
    case refused(String, ServerError)
    /// The server has ended the subscription to a channel that is sharded, because its slot has moved.
    case ended(String)
    /// The answer to a ``probe()``: all messages published before it have arrived.
    case probed
  }

  /// More than thousands of grants at once; only a flood goes beyond that without a pause.
  private static let largestBurst = 4 << 20

  private let kind: Kind
  private let handshake: Handshake
  private let loginCount: Int
  private let state: Locked<State>

  /// Sends the login on a stream, and asks for channels.
  init(
    on bytes: any ByteStream, handshake: Handshake, _ kind: Kind, channels: [String]
  ) throws(TransportError) {
    self.kind = kind
    self.handshake = handshake
    let commands = handshake.commands()
    loginCount = commands.count
    var stream = try CommandStream(on: bytes, mayRepeatPassword: handshake.mayRepeatPassword)
    for command in commands { stream.append(command) }
    switch kind {
    case .plain: stream.append(Command([kind.command] + channels))
    case .sharded: for channel in channels { stream.append(Command(kind.command, channel)) }
    }
    try stream.write()
    guard !stream.hasUnsentBytes else { throw .unreachable("the server accepts no data") }
    state = Locked(State(stream: stream, channels: Set(channels), unconfirmed: channels))
  }

  /// Whether the login has succeeded, and the server has confirmed all subscriptions that have to be.
  var isReady: Bool {
    state.withLock { $0.loginReplies == nil && (kind == .sharded || $0.unconfirmed.isEmpty) }
  }

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

  /// Asks for one more channel; returns false if that cannot be sent.
  func subscribe(to channel: String) -> Bool {
    state.withLock { state in
      state.channels.insert(channel)
      state.unconfirmed.append(channel)
      return Self.send(Command(kind.command, channel), &state)
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
      replies.append(reply)
      // A full server sends its error unasked.
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
      guard case .string(let word) = fields[0], case .string(let channel) = fields[1],
        state.channels.contains(channel)
      else { break }
      if word == kind.message, case .string(let text) = fields[2] {
        return .message(text, on: channel)
      }
      if word == kind.confirmation {
        guard let place = state.unconfirmed.firstIndex(of: channel) else { return nil }
        state.unconfirmed.remove(at: place)
        return .subscribed(channel)
      }
      if kind == .sharded, word == "sunsubscribe" { return .ended(channel) }
    case .array(let fields) where fields.first == .string("pong"):
      return fields.last == .string(Self.probeText) ? .probed : nil
    // Without a subscription, the server answers as on any connection.
    case .string(Self.probeText) where kind == .sharded: return .probed
    case .string(Self.pingText) where kind == .sharded: return nil
    case .error(let hidden):
      let error = handshake.conceal(hidden)
      guard kind == .sharded, !state.unconfirmed.isEmpty else {
        throw error.remedy == .fail ? .refused(error) : .unreachable(error.message)
      }
      return .refused(state.unconfirmed.removeFirst(), error)
    default: break
    }
    throw .protocolViolation("a reply that is not a pub/sub message")
  }
}
