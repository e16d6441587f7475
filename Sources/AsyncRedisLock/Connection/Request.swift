import Synchronization

/// Commands that are sent together, and the handling of their answer.
final class Request: Sendable {
  /// The replies, one per command, and the instant just before the first command was sent.
  struct Answer: Sendable {
    let replies: Replies
    let sentAt: Instant
    /// The login on which the answer came, if there are several servers; see ``Wire/source``.
    var source: UInt64 = 0
    /// Whether the commands had been sent before on a connection that broke.
    ///
    /// If so, they may have been executed then, or may be yet.
    var isOfRepetition = false

    /// Whether the server did not find a script by its digest.
    var isMissingScript: Bool { replies.hasErrors && replies.contains { $0.isMissingScript } }
  }

  /// What to do with a request if its connection breaks or its locker is closed.
  enum Kind {
    /// The request fails, and its undo takes back what it may have done.
    case call
    /// The request gives keys back. It is sent again on the next connection, also while the locker is being
    /// closed. Only for commands that do no harm if the server executes them twice.
    case release
    /// The same, but it is also the last thing sent on a connection that is given up.
    case cleanUp
  }

  private enum Phase: UInt8, AtomicRepresentable {
    case queued
    case sent
    case finished
  }

  private enum Content {
    case commands([Command])
    case encoder(any CommandEncoder)
    /// One command, made each time it is sent; if it is nil by then, none is sent.
    case made(@Sendable () -> Command?)
  }

  private let content: Content
  /// When the caller stops waiting.
  let deadline: Instant
  let kind: Kind
  /// When the first lease ends that the request extends; nil if it extends none.
  let leaseEnd: Instant?
  /// Whether a task waits for the answer, and may as well do the connection's work meanwhile.
  let isAwaited: Bool
  /// Makes the request that undoes what `origin` may have done, if the outcome stays unknown.
  ///
  /// The token that it works on is never used again.
  typealias Undo = @Sendable (_ origin: Request?) -> Request
  private let undo: Undo?
  /// Whether the request claims keys under a token of its own.
  ///
  /// If such a claim was refused, it is undone in case the refusal turns out to belong to another request.
  let isClaim: Bool
  /// The request that this one undoes.
  private let origin: Request?

  /// Whether the request goes on when its connection breaks.
  var givesBack: Bool { kind != .call }

  /// Called when a connection breaks on which the commands have been sent, so that they may come late.
  private let lingers: (@Sendable () -> Void)?
  private let completion: @Sendable (Result<Answer, TransportError>) -> Void
  private let phase = Atomic<Phase>(.queued)
  private let isBySource = Atomic<Bool>(false)
  private let isRepeated = Atomic<Bool>(false)
  private let isRefused = Atomic<Bool>(false)
  /// The slot of its keys in a cluster; negative for none.
  private let slotNumber = Atomic<Int32>(-1)
  private let hops = Atomic<UInt8>(0)
  private let asks = Atomic<Bool>(false)

  /// Creates a request.
  ///
  /// `completion` is called exactly once, on the connection's queue or on the thread that gives the request up,
  /// and must not block.
  convenience init(
    _ commands: [Command], deadline: Instant, kind: Kind = .call,
    isAwaited: Bool = false, undo: Undo? = nil, isClaim: Bool = false,
    undoing origin: Request? = nil, lingers: (@Sendable () -> Void)? = nil,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.init(
      .commands(commands), deadline: deadline, kind: kind, isAwaited: isAwaited, undo: undo,
      isClaim: isClaim, origin: origin, lingers: lingers, completion: completion)
  }

  /// Creates a request whose commands an object encodes; if there are none, it succeeds with no replies.
  convenience init(
    _ encoder: any CommandEncoder, deadline: Instant, kind: Kind = .call, isAwaited: Bool = false,
    leaseEnd: Instant? = nil, undo: Undo? = nil, isClaim: Bool = false,
    lingers: (@Sendable () -> Void)? = nil,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.init(
      .encoder(encoder), deadline: deadline, kind: kind, isAwaited: isAwaited, undo: undo,
      isClaim: isClaim, origin: nil, leaseEnd: leaseEnd, lingers: lingers, completion: completion)
  }

  /// Creates a request whose command is made on sending, so that it depends on all requests submitted before.
  ///
  /// If there is no command, it succeeds with no replies.
  convenience init(
    deadline: Instant, kind: Kind = .call, isAwaited: Bool = false, undo: Undo? = nil,
    undoing origin: Request? = nil, lingers: (@Sendable () -> Void)? = nil,
    command: @escaping @Sendable () -> Command?,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.init(
      .made(command), deadline: deadline, kind: kind, isAwaited: isAwaited, undo: undo,
      isClaim: false, origin: origin, lingers: lingers, completion: completion)
  }

  private init(
    _ content: Content, deadline: Instant, kind: Kind, isAwaited: Bool,
    undo: Undo?, isClaim: Bool, origin: Request?, leaseEnd: Instant? = nil,
    lingers: (@Sendable () -> Void)?,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.content = content
    self.deadline = deadline
    self.kind = kind
    self.isAwaited = isAwaited
    self.undo = undo
    self.isClaim = isClaim
    self.origin = origin
    self.leaseEnd = leaseEnd
    self.lingers = lingers
    self.completion = completion
  }

  /// How many replies are due once it has been sent.
  var commandCount: Int {
    switch content {
    case .commands(let commands): commands.count
    case .encoder(let encoder): encoder.commandCount
    case .made: 1
    }
  }

  /// Whether a script's source was sent along, so that the server cannot have missed it.
  ///
  /// Commands that a tool tries may name a script themselves.
  var hasSentSource: Bool {
    guard isBySource.load(ordering: .relaxed) else { return false }
    return switch content {
    case .commands(let commands): commands.first?.isScript ?? false
    case .encoder(let encoder): encoder.runsScript
    case .made: true
    }
  }

  /// What has been encoded of a request.
  enum Encoded {
    /// There is nothing to send.
    case nothing
    case commands
    /// A script, which answers with the number that it was sent with.
    case script
  }

  /// Encodes the commands to send now; a script gets the number `question`.
  func encode(into buffer: inout CommandBuffer, question: UInt32) -> Encoded {
    let start = buffer.count
    if isAsking { Self.appendAsking(to: &buffer) }
    let encoded = encode(
      into: &buffer, question: question, bySource: isBySource.load(ordering: .relaxed))
    // Otherwise, it would be for the next request.
    if case .nothing = encoded { buffer.remove(from: start) }
    return encoded
  }

  /// Encodes the commands with script sources, so that they work whatever the server has forgotten.
  ///
  /// `isAsking` tells that the request which it undoes was sent to a node that does not have its slot yet.
  func encodeBySource(into buffer: inout CommandBuffer, isAsking: Bool = false) {
    if isAsking { Self.appendAsking(to: &buffer) }
    _ = encode(into: &buffer, question: 0, bySource: true)
  }

  private func encode(
    into buffer: inout CommandBuffer, question: UInt32, bySource: Bool
  ) -> Encoded {
    let commands: [Command]
    switch content {
    case .encoder(let encoder):
      guard encoder.encode(into: &buffer, question: question, bySource: bySource) else {
        return .nothing
      }
      return encoder.runsScript ? .script : .commands
    case .commands(let given): commands = given
    case .made(let command): commands = command().map { [$0] } ?? []
    }
    for command in commands {
      let bringsSource =
        bySource && command.isScript && buffer.needsSource(of: command.arguments[1])
      buffer.append(bringsSource ? command.bySource : command, question: question)
    }
    // A script is never sent along with other commands.
    return commands.isEmpty ? .nothing : commands[0].isScript ? .script : .commands
  }

  /// Whether no caller waits for an answer any more.
  var isFinished: Bool { phase.load(ordering: .acquiring) == .finished }

  /// Marks the request as about to be sent; returns false if the caller has given up.
  func beginSending() -> Bool {
    phase.compareExchange(expected: .queued, desired: .sent, ordering: .acquiringAndReleasing)
      .exchanged
  }

  /// Makes the request that undoes this one, if there is anything to undo.
  func makeUndo() -> Request? {
    let made = undo?(self)
    if let made, let slot { made.slot = slot }
    return made
  }

  /// Notes that its commands have been sent on a connection that broke.
  func noteRepetition() {
    isRepeated.store(true, ordering: .relaxed)
    lingers?()
  }

  /// Notes that the server has refused to execute its commands, beyond doubt.
  func noteRefusal() { isRefused.store(true, ordering: .relaxed) }

  /// Whether its commands have certainly not been executed, and never will be.
  var hasDoneNothing: Bool {
    isRefused.load(ordering: .relaxed) && !isRepeated.load(ordering: .relaxed)
  }

  /// Whether its commands, or those that it undoes, have been sent on a connection that broke.
  private var mayComeAgain: Bool {
    isRepeated.load(ordering: .relaxed) || origin?.mayComeAgain == true
  }

  /// Puts a sent request back to be sent with its scripts' sources, because the server no longer knew a digest.
  ///
  /// Returns false if that has been done before, or if the caller has given up: its token must not be touched again
  /// then.
  func beginRepeatingBySource() -> Bool {
    !isBySource.exchange(true, ordering: .relaxed) && returnToQueue()
  }

  /// Puts a sent request back to be sent again; returns false if the caller has given up.
  func returnToQueue() -> Bool {
    phase.compareExchange(expected: .sent, desired: .queued, ordering: .acquiringAndReleasing)
      .exchanged
  }

  /// Hands the replies to the caller, unless it has given up.
  func succeed(_ answer: consuming Answer) {
    guard phase.exchange(.finished, ordering: .acquiringAndReleasing) != .finished else { return }
    var answer = answer
    answer.isOfRepetition = mayComeAgain
    completion(.success(answer))
  }

  /// Ends the request without an answer, unless it has ended before.
  ///
  /// If there is anything to undo, `send` gets the request's undo before the caller learns of the failure: the
  /// caller's next request then comes after it.
  func fail(_ cause: TransportError, send: (Request) -> Void) {
    let former = phase.exchange(.finished, ordering: .acquiringAndReleasing)
    guard former != .finished else { return }
    // A request that gives back has to go on in any case, sent or not.
    if former == .sent || givesBack, let undo = makeUndo() { send(undo) }
    completion(.failure(cause))
  }
}

// MARK: In a cluster

extension Request {
  /// The slot of its keys; nil if it has none, or without a cluster.
  var slot: Int? {
    get {
      let number = slotNumber.load(ordering: .relaxed)
      return number < 0 ? nil : Int(number)
    }
    set {
      slotNumber.store(newValue.map(Int32.init) ?? -1, ordering: .relaxed)
    }
  }

  /// Whether it is sent to a node that does not have its slot yet, as the node that has it wants it.
  var isAsking: Bool {
    get { asks.load(ordering: .relaxed) }
    set { asks.store(newValue, ordering: .relaxed) }
  }

  /// Has it sent to a node that does not have its slot yet, and that forgets so with the next command.
  ///
  /// A script is sent by its source: the answer that it is not known would be that command.
  func beginAsking() {
    isAsking = true
    isBySource.store(true, ordering: .relaxed)
  }

  /// Counts a redirection.
  func countHop() -> Int {
    Int(hops.wrappingAdd(1, ordering: .relaxed).newValue)
  }

  /// Its commands, if there are several.
  var pipeline: [Command]? {
    if case .commands(let commands) = content, commands.count > 1 { commands } else { nil }
  }

  fileprivate static func appendAsking(to buffer: inout CommandBuffer) {
    buffer.append(encoded: "*1\r\n$6\r\nASKING\r\n")
  }
}
