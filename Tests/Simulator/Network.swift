import AsyncRedisLock

/// Carries bytes between processes and the server: in order and unchanged, but with random delays and losses.
// Unchecked: one thread runs a simulation.
final class Network: @unchecked Sendable {
  let scheduler: Scheduler
  let weather: Weather
  let server: SimulatedRedis
  /// Whether connections break.
  var isStormy = true
  /// How many connections have broken.
  private(set) var breakCount = 0

  init(on scheduler: Scheduler, _ weather: Weather, to server: SimulatedRedis) {
    self.scheduler = scheduler
    self.weather = weather
    self.server = server
  }

  func connect(_ process: SimulatedProcess) throws(TransportError) -> SimulatedStream {
    guard !process.isDead else { throw .unreachable("Connection refused") }
    guard !breaks() else {
      scheduler.count(.connectionRefused)
      throw .unreachable("Connection refused")
    }
    let line = Line(on: self, of: process)
    let stream = SimulatedStream(of: line)
    line.stream = stream
    process.lines.append(line)
    return stream
  }

  /// Draws whether a connection breaks now.
  func breaks() -> Bool {
    guard isStormy, scheduler.happens(weather.breaks) else { return false }
    breakCount += 1
    return true
  }

  /// Draws how long a message is under way; a late one is counted as a trouble.
  func delay(countedAs trouble: Trouble) -> Int64 {
    guard isStormy, scheduler.happens(weather.stalls) else {
      return Int64(50_000 + scheduler.pick(300_000))
    }
    scheduler.count(trouble)
    return Int64(scheduler.pick(1_000_000_000))
  }
}

/// A connection, between its two ends.
final class Line {
  private struct Direction {
    struct Message {
      let due: Int64
      let bytes: [UInt8]
      let then: (() -> Void)?
    }

    var messages: [Message] = []
    var latest: Int64 = 0
  }

  /// How a connection can break.
  private enum Break: CaseIterable {
    /// Nothing arrives any more, and neither side is told.
    case silence
    /// The message does not arrive.
    case beforeDelivery
    /// A part of the message arrives.
    case withinMessage
    case afterDelivery
    /// The message arrives after the client has been told that the connection broke.
    case delivered

    /// The trouble it is counted as, at a command or at a reply.
    func trouble(isCommand: Bool) -> Trouble {
      switch self {
      case .silence: isCommand ? .commandSilenced : .replySilenced
      case .beforeDelivery: isCommand ? .commandLost : .replyLost
      case .withinMessage: isCommand ? .commandCut : .replyCut
      case .afterDelivery: isCommand ? .commandThenReset : .replyThenReset
      case .delivered: isCommand ? .commandAfterReset : .replyAfterReset
      }
    }
  }

  private let network: Network
  private let session: Session
  private unowned let process: SimulatedProcess
  weak var stream: SimulatedStream?
  private var toServer = Direction()
  private var toClient = Direction()
  private var isSilent = false
  private var isClosedByClient = false

  init(on network: Network, of process: SimulatedProcess) {
    self.network = network
    self.process = process
    session = Session()
    session.line = self
    network.server.sessions.append(session)
  }

  private var scheduler: Scheduler { network.scheduler }

  func pick(_ count: Int) -> Int { scheduler.pick(count) }

  /// Whether a write takes everything; only the largest may be cut short.
  func acceptsAll() -> Bool {
    guard scheduler.happens(network.weather.splits) else { return true }
    scheduler.count(.writeCutShort)
    return false
  }

  // MARK: Both ways

  private func add(
    _ bytes: [UInt8], to direction: ReferenceWritableKeyPath<Line, Direction>,
    delay: Int64? = nil, then: (() -> Void)? = nil
  ) {
    let delay =
      delay ?? network.delay(countedAs: direction == \.toServer ? .commandLate : .replyLate)
    let due = max(self[keyPath: direction].latest, scheduler.now + delay)
    self[keyPath: direction].latest = due
    self[keyPath: direction].messages.append(.init(due: due, bytes: bytes, then: then))
    scheduler.at(due, of: nil) { [self] in deliver(direction, by: due) }
  }

  private func deliver(
    _ direction: ReferenceWritableKeyPath<Line, Direction>, by time: Int64
  ) {
    while let message = self[keyPath: direction].messages.first, message.due <= time {
      self[keyPath: direction].messages.removeFirst()
      if !message.bytes.isEmpty {
        if direction == \.toServer {
          network.server.receive(message.bytes, on: session)
        } else {
          stream?.receive(message.bytes)
        }
      }
      message.then?()
    }
  }

  /// Sends a message in pieces, or breaks at it; calls `then` when all of it has arrived.
  private func carry(
    _ bytes: [UInt8], _ direction: ReferenceWritableKeyPath<Line, Direction>,
    then: (() -> Void)? = nil
  ) {
    guard !isSilent else { return }
    guard network.breaks() else { return addPieces(bytes, direction, then: then) }
    let kind = Break.allCases[pick(Break.allCases.count)]
    scheduler.note("a connection of \(process.id) breaks: \(kind)")
    scheduler.count(kind.trouble(isCommand: direction == \.toServer))
    switch kind {
    case .silence:
      isSilent = true
      // Stands for the system's own probes.
      scheduler.at(scheduler.now + Int64(pick(3_000_000_000)), of: nil) { [self] in
        network.server.hangUp(session)
      }
    case .beforeDelivery: breakDown()
    case .withinMessage:
      addPieces(Array(bytes.prefix(pick(bytes.count))), direction)
      breakDown()
    case .afterDelivery:
      addPieces(bytes, direction, then: then)
      breakDown()
    case .delivered:
      breakDown(serverAfter: 0)
      isSilent = false
      add(
        bytes, to: direction, delay: Int64(pick(network.weather.longestDelivery)) * 1000,
        then: { [network, session] in network.server.hangUp(session) })
      isSilent = true
    }
  }

  private func addPieces(
    _ bytes: [UInt8], _ direction: ReferenceWritableKeyPath<Line, Direction>,
    then: (() -> Void)? = nil
  ) {
    var rest = bytes[...]
    while scheduler.happens(network.weather.splits), rest.count > 1 {
      scheduler.count(direction == \.toServer ? .commandInPieces : .replyInPieces)
      let piece = rest.prefix(1 + pick(rest.count - 1))
      rest = rest.dropFirst(piece.count)
      add(Array(piece), to: direction)
    }
    add(Array(rest), to: direction, then: then)
  }

  /// Lets both ends find out that the connection is broken, the server after a delay.
  private func breakDown(serverAfter delay: Int64? = nil) {
    isSilent = true
    add([], to: \.toClient) { [self] in stream?.end("Connection reset by peer", isReset: true) }
    guard delay == nil else { return }
    add([], to: \.toServer) { [network, session] in network.server.hangUp(session) }
  }

  // MARK: The client's end

  func send(_ bytes: [UInt8]) { carry(bytes, \.toServer) }

  func clientCloses() {
    guard !isClosedByClient else { return }
    isClosedByClient = true
    guard !isSilent else { return }
    add([], to: \.toServer) { [network, session] in network.server.hangUp(session) }
  }

  /// Half of the time, delivers at once everything that is due within this time.
  func hurry(within time: Int64) {
    guard scheduler.happens(500) else { return }
    let end = scheduler.now + min(time, 400_000)
    deliver(\.toServer, by: end)
    network.server.finish(session)
    deliver(\.toClient, by: end)
  }

  // MARK: The server's end

  /// Sends an answer, which confirms the locks of some tokens to the process.
  func answer(_ bytes: [UInt8], confirming tokens: [String] = []) {
    let executedAt = scheduler.now
    carry(bytes, \.toClient) { [weak self] in
      guard let self, stream?.hasEnded == false else { return }
      for token in tokens { process.confirm(token, executedAt) }
    }
    if scheduler.happens(network.weather.repeats) {
      scheduler.count(.replyDoubled)
      carry(bytes, \.toClient)
    }
  }

  func serverCloses() {
    guard !isSilent else { return }
    add([], to: \.toClient) { [self] in stream?.end("Server closed the connection", isReset: false)
    }
  }
}
