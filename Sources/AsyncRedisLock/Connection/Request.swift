import Synchronization

/// Commands that are sent together, and what becomes of their answer.
final class Request: Sendable {
  /// The replies, one per command, and the instant just before the first command was sent.
  struct Answer: Sendable {
    let replies: Replies
    let sentAt: Instant
    /// Whether the commands had been sent before on a connection that broke, and may have been executed
    /// then, or may be yet.
    var isOfRepetition = false

    /// Whether the server does not know a script by its digest.
    var isMissingScript: Bool { replies.hasErrors && replies.contains { $0.isMissingScript } }
  }

  /// What becomes of a request whose connection breaks, or whose locker is closed.
  enum Kind {
    /// It fails, and its undo takes back what it may have done.
    case call
    /// It gives keys back: it is sent again on the next connection, also while the locker is being closed. For
    /// commands alone that do no harm when the server executes them twice.
    case release
    /// The same, and it is the last thing to be sent on a connection that is given up.
    case cleanUp
  }

  private enum Phase: UInt8, AtomicRepresentable {
    case queued
    case sent
    case finished
  }

  private enum Content {
    case commands([Command])
    /// Commands that run no script.
    case encoded(CommandBuffer)
    /// One command, made each time it is sent; none is sent when there is none by then.
    case made(@Sendable () -> Command?)
  }

  private let content: Content
  /// When the caller stops waiting.
  let deadline: Instant
  let kind: Kind
  /// Whether a task waits for the answer, and may as well do the connection's work meanwhile.
  let isAwaited: Bool
  /// Makes the request that takes back what `origin` may have done, when nobody learns its outcome.
  ///
  /// What it works on is never used again.
  typealias Undo = @Sendable (_ origin: Request?) -> Request
  private let undo: Undo?
  /// Whether it claims keys by a token of its own: one that was refused is taken back if the answer proves to have been
  /// another request's.
  let isClaim: Bool
  /// The request that this one takes back.
  private let origin: Request?

  /// Whether the request goes on when its connection breaks.
  var givesBack: Bool { kind != .call }

  private let completion: @Sendable (Result<Answer, TransportError>) -> Void
  private let phase = Atomic<Phase>(.queued)
  private let isBySource = Atomic<Bool>(false)
  private let isRepeated = Atomic<Bool>(false)

  /// Creates a request; `completion` is called exactly once, on the connection's queue or on the
  /// thread that gives the request up, and must not block.
  convenience init(
    _ commands: [Command], deadline: Instant, kind: Kind = .call,
    isAwaited: Bool = false, undo: Undo? = nil, isClaim: Bool = false,
    undoing origin: Request? = nil,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.init(
      .commands(commands), deadline: deadline, kind: kind, isAwaited: isAwaited, undo: undo,
      isClaim: isClaim, origin: origin, completion: completion)
  }

  /// Creates a request of commands that run no script, and that a task waits for: a claim.
  convenience init(
    _ commands: CommandBuffer, deadline: Instant, undo: @escaping Undo,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.init(
      .encoded(commands), deadline: deadline, kind: .call, isAwaited: true, undo: undo,
      isClaim: true, origin: nil, completion: completion)
  }

  /// Creates a request whose command is made when it is sent, so that it depends on all that was handed over
  /// before it; without one it succeeds with no replies.
  convenience init(
    deadline: Instant, kind: Kind = .call, isAwaited: Bool = false,
    command: @escaping @Sendable () -> Command?,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.init(
      .made(command), deadline: deadline, kind: kind, isAwaited: isAwaited, undo: nil,
      isClaim: false, origin: nil, completion: completion)
  }

  private init(
    _ content: Content, deadline: Instant, kind: Kind, isAwaited: Bool,
    undo: Undo?, isClaim: Bool, origin: Request?,
    completion: @escaping @Sendable (Result<Answer, TransportError>) -> Void
  ) {
    self.content = content
    self.deadline = deadline
    self.kind = kind
    self.isAwaited = isAwaited
    self.undo = undo
    self.isClaim = isClaim
    self.origin = origin
    self.completion = completion
  }

  /// How many replies are due once it has been sent.
  var commandCount: Int {
    switch content {
    case .commands(let commands): commands.count
    case .encoded(let commands): commands.commandCount
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
    case .encoded: false
    case .made: true
    }
  }

  /// What is to be sent now.
  enum ToSend {
    /// Nothing is sent if there are none.
    case commands([Command])
    case encoded(CommandBuffer)
  }

  var commandsToSend: ToSend {
    switch content {
    case .encoded(let commands): .encoded(commands)
    case .commands(let commands): .commands(inForm(commands))
    case .made(let command): .commands(inForm(command().map { [$0] } ?? []))
    }
  }

  private func inForm(_ commands: [Command]) -> [Command] {
    isBySource.load(ordering: .relaxed) ? commands.map(\.bySource) : commands
  }

  /// Commands that give back, as the server understands them whatever it has forgotten.
  var commandsBySource: [Command] {
    switch content {
    case .commands(let commands): commands.map(\.bySource)
    case .made(let command): command().map { [$0.bySource] } ?? []
    case .encoded: preconditionFailure("What gives back runs scripts.")
    }
  }

  /// Whether nobody waits for an answer any more.
  var isFinished: Bool { phase.load(ordering: .acquiring) == .finished }

  /// Marks the request as about to be sent; false when the caller has given up.
  func beginSending() -> Bool {
    phase.compareExchange(expected: .queued, desired: .sent, ordering: .acquiringAndReleasing)
      .exchanged
  }

  /// Makes the request that takes back what this one may have done, if there is anything to take back.
  func makeUndo() -> Request? { undo?(self) }

  /// Notes that its commands have been sent on a connection that broke.
  func noteRepetition() { isRepeated.store(true, ordering: .relaxed) }

  /// Whether its commands, or what they take back, have been sent on a connection that broke.
  private var mayComeAgain: Bool {
    isRepeated.load(ordering: .relaxed) || origin?.mayComeAgain == true
  }

  /// Puts a sent request back to be sent with its scripts' sources, because the server knew a digest no
  /// more; false when that has been done before, or when the caller has given up: what it worked on
  /// must not be touched again then.
  func beginRepeatingBySource() -> Bool {
    !isBySource.exchange(true, ordering: .relaxed) && returnToQueue()
  }

  /// Puts a sent request back to be sent again; false when the caller has given up.
  func returnToQueue() -> Bool {
    phase.compareExchange(expected: .sent, desired: .queued, ordering: .acquiringAndReleasing)
      .exchanged
  }

  /// Hands the replies to the caller, unless it has given up.
  func succeed(_ answer: Answer) {
    guard phase.exchange(.finished, ordering: .acquiringAndReleasing) != .finished else { return }
    var answer = answer
    answer.isOfRepetition = mayComeAgain
    completion(.success(answer))
  }

  /// Ends the request without an answer, unless it has ended before.
  ///
  /// `send` gets the request's undo, when there is something to take back, before the caller learns
  /// of the failure: what the caller sends next then comes after it.
  func fail(_ cause: TransportError, send: (Request) -> Void) {
    let former = phase.exchange(.finished, ordering: .acquiringAndReleasing)
    guard former != .finished else { return }
    // What gives back has to go on in any case, sent or not.
    if former == .sent || givesBack, let undo { send(undo(self)) }
    completion(.failure(cause))
  }
}
