internal import Dispatch
internal import Synchronization

/// One connection of a ``Subscriber``, from its login to its end.
///
/// Closed when its read source has been cancelled and nobody refers to it any more: not before, since
/// the number of a closed descriptor may be another's at once.
final class SubscribedSocket: Sendable {
  private struct State: ~Copyable {
    var context: HiredisContext
    /// What the source watches.
    let watch: FileDescriptor
    var source: (any DispatchSourceRead)?
    /// The replies to the login; nil once it has been judged.
    var loginReplies: [Reply]? = []
    var isSubscribed = false
    var isSilentSincePing = false
  }

  /// What arrives once the channel is subscribed to, in order.
  enum Arrival: Sendable {
    case message(String)
    /// The answer to a ``probe()``: whatever was published before it has arrived.
    case probed
  }

  /// More than thousands of grants at once, after which only a flood does not pause.
  private static let largestBurst = 4 << 20

  private let handshake: Handshake
  private let loginCount: Int
  private let channel: String
  private let state: Locked<State>

  /// Takes over a connected socket, and sends the login and the subscription.
  init(
    adopting descriptor: consuming FileDescriptor, handshake: Handshake, channel: String
  ) throws(TransportError) {
    let commands = handshake.commands()
    self.handshake = handshake
    self.channel = channel
    loginCount = commands.count
    var context = try HiredisContext(adopting: descriptor)
    for command in commands + [Command("SUBSCRIBE", channel)] { _ = try context.append(command) }
    try context.write()
    guard !context.hasUnsentBytes else { throw .unreachable("the server takes nothing") }
    let watch = try FileDescriptor.watching(context.fileDescriptor)
    state = Locked(State(context: context, watch: watch))
  }

  /// Whether the server has confirmed the subscription.
  var isSubscribed: Bool { state.withLock { $0.isSubscribed } }

  /// Whether nothing arrived since the last ``ping()``.
  var isSilentSincePing: Bool { state.withLock { $0.isSilentSincePing } }

  /// Calls the handler on the queue whenever there is something to receive.
  func start(on queue: DispatchQueue, handler: @escaping @Sendable () -> Void) {
    state.withLock { state in
      let source = DispatchSource.makeReadSource(
        fileDescriptor: state.watch.number, queue: queue)
      source.setEventHandler(handler: handler)
      // Keeps the descriptors open until the source does not watch it any more.
      source.setCancelHandler { @Sendable [self] in withExtendedLifetime(self) {} }
      source.activate()
      state.source = source
    }
  }

  /// Ends it.
  func cancel() {
    state.withLock { state in
      state.source?.cancel()
      state.source = nil
    }
  }

  /// Asks the server for a sign of life; false when that cannot be sent.
  func ping() -> Bool {
    state.withLock { state in
      state.isSilentSincePing = true
      return Self.send(Command("PING"), &state)
    }
  }

  /// Asks the server for ``Arrival/probed``; false when that cannot be sent.
  func probe() -> Bool { state.withLock { Self.send(Command("PING", Self.probeText), &$0) } }

  /// Tells the answer to a probe from that to a ping.
  private static let probeText = "probe"

  private static func send(_ command: Command, _ state: inout State) -> Bool {
    do throws(TransportError) {
      _ = try state.context.append(command)
      try state.context.write()
      return true
    } catch {
      return false
    }
  }

  /// Reads what is there.
  func receive() throws(TransportError) -> [Arrival] {
    let result: Result<[Arrival], TransportError> = state.withLock { state in
      Result { () throws(TransportError) in
        var arrivals: [Arrival] = []
        var mayHaveMore = true
        let former = state.context.bytesRead
        while mayHaveMore {
          _ = try state.context.read()
          if state.context.bytesRead - former > Self.largestBurst {
            throw TransportError.protocolViolation("messages without a pause")
          }
          // Also the end, when it comes with the last bytes: not every source tells of that alone.
          mayHaveMore = !SocketReadiness.isIdle(state.context.fileDescriptor)
          state.isSilentSincePing = false
          while let reply = try state.context.nextReply() {
            if let arrival = try accept(reply, &state) { arrivals.append(arrival) }
          }
        }
        return arrivals
      }
    }
    return try result.get()
  }

  /// Takes a reply in; nil when it says nothing to others.
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
    case .array(let fields) where fields.count == 3 && fields[1] == .string(channel):
      if fields[0] == .string("subscribe") {
        state.isSubscribed = true
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
    throw .protocolViolation("something else than a message")
  }
}
