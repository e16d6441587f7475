internal import DequeModule

/// The requests that were sent on one connection and are not answered yet, in the order sent.
///
/// A pure state machine: the time is an argument, and the result tells what to do.
struct InFlightRequests {
  private struct Slot {
    let request: Request
    let sentAt: Instant
    /// The number that a script has to answer with; nil for other commands.
    let question: UInt32?
    let replyCount: Int
    /// How many bytes its commands have.
    let byteCount: Int
    /// What was unanswered when it was sent.
    let ahead: SendWindow.Unanswered
    /// Whether the answer to `ASKING` is still to come.
    var awaitsAsking: Bool
    /// The refusal of `ASKING`, which stands for all answers.
    var refusal: ServerError?

    /// Whether an answer says that nothing was claimed, and may belong to another request.
    func isDoubtful(_ replies: Replies) -> Bool {
      switch replies.first {
      // A script that the server does not know is sent again, for the same claim.
      case .error(let error)?: error.remedy != .fail && error.code != .noScript
      case .null?: question == nil
      default: false
      }
    }
  }

  /// How long the server may be silent while replies are due.
  private let longestSilence: Duration
  private var slots: Deque<Slot> = []
  /// The replies to the first request so far.
  ///
  /// They are not in its slot, so that they need not be copied out of it.
  private var replies = Replies()
  /// When the server last sent bytes, or when it was first asked after it had answered everything.
  private var quietSince: Instant?
  /// When the last reply was complete, or when the server was first asked after it had answered everything.
  private var repliedAt: Instant?
  /// No request in here has an earlier deadline that has not been checked.
  private(set) var nextDeadline: Instant?
  /// Claims that were answered with an error that means "not now", or with "held" and no number.
  ///
  /// They stay here until a later answer proves by its number that each answer was the claim's own.
  private var doubtful: Deque<Request> = []
  /// Whether a request was sent only for the number of its answer.
  private(set) var hasInquired = false

  /// How many silences a reply in small pieces may take: all its callers have given up by then.
  private static let longestReply = 4
  /// If an answer comes twice, only few others follow before that is noticed.
  private static let mostDoubtful = 100

  init(operationTimeout: Duration) {
    longestSilence = operationTimeout
    window = SendWindow(operationTimeout: operationTimeout)
  }

  var isEmpty: Bool { slots.isEmpty }

  var count: Int { slots.count }

  private(set) var unanswered: SendWindow.Unanswered = (0, 0)
  /// How many may be, of either.
  private var window: SendWindow

  /// How long the last answer took.
  private var lastRoundTrip: Duration?

  /// The crowd that has been waiting; nil if there is none.
  func crowd(at now: Instant) -> PendingRequests.Crowd? {
    // Without one, a call that is to be answered soon is never held back; and of a crowd, one tells how long it takes.
    guard !window.waiting.isEmpty, !slots.isEmpty, let lastRoundTrip else { return nil }
    // One answer may have been late by chance.
    return PendingRequests.Crowd(
      kinds: window.waiting, earliestAnswer: now + min(lastRoundTrip, longestSilence / 2))
  }

  /// What may be sent now: neither a crowd of acquisitions nor one of extensions keeps the other waiting.
  var sendable: PendingRequests.Choice {
    var choice: PendingRequests.Choice = []
    if unanswered.extensions < window.extensionsSize { choice.insert(.extensions) }
    if unanswered.others < window.othersSize { choice.insert(.others) }
    return choice
  }

  /// Notes which requests are pending, and wait if they are not ``sendable``.
  mutating func note(pending: PendingRequests.Choice) {
    window.waiting = pending.subtracting(sendable)
  }

  private mutating func count(_ bytes: Int, of request: Request) {
    if request.leaseEnd != nil {
      unanswered.extensions += bytes
    } else {
      unanswered.others += bytes
    }
  }

  /// Adds a request whose commands are about to be written; if it is a script, `question` is the number sent with
  /// it.
  mutating func append(
    _ request: Request, sentAt: Instant, byteCount: Int = 0, question: UInt32? = nil
  ) {
    if slots.isEmpty { (quietSince, repliedAt) = (sentAt, sentAt) }
    slots.append(
      Slot(
        request: request, sentAt: sentAt, question: question, replyCount: request.commandCount,
        byteCount: byteCount, ahead: unanswered, awaitsAsking: request.isAsking))
    count(byteCount, of: request)
    nextDeadline = min(nextDeadline ?? request.deadline, request.deadline)
  }

  /// Notes that bytes arrived.
  mutating func heard(at now: Instant) { quietSince = now }

  /// A request with all its replies.
  struct Answered {
    let request: Request
    private(set) var answer: Request.Answer

    init(_ request: Request, _ answer: Request.Answer) {
      self.request = request
      self.answer = answer
    }

    /// Notes on which login the answer came.
    mutating func note(source: UInt64) { answer.source = source }

    /// Takes the answer out, which saves a copy of each reply.
    mutating func takeAnswer() -> Request.Answer {
      var taken = Request.Answer(
        replies: Replies(), sentAt: answer.sentAt, source: answer.source)
      swap(&taken, &answer)
      return taken
    }
  }

  /// Returns the request that a reply completes; nil if more replies to it are still to come.
  ///
  /// - Throws: ``TransportError/protocolViolation(_:)`` if no request is due a reply, or if it answers another
  ///   request.
  mutating func accept(_ reply: Reply) throws(TransportError) -> Answered? {
    guard !slots.isEmpty else { throw .protocolViolation("an unexpected reply") }
    if slots[0].awaitsAsking {
      slots[0].awaitsAsking = false
      slots[0].refusal = reply.error
      repliedAt = quietSince
      return nil
    }
    if let question = slots[0].question {
      replies.append(try reply.answer(to: question))
      if reply.error == nil { dispelDoubt() }
    } else {
      replies.append(reply)
    }
    repliedAt = quietSince
    guard replies.count == slots[0].replyCount else { return nil }
    let slot = slots.removeFirst()
    count(-slot.byteCount, of: slot.request)
    if let quietSince {
      lastRoundTrip = slot.sentAt.duration(to: quietSince)
      window.answered(
        slot.byteCount, behind: slot.ahead, sentAt: slot.sentAt, at: quietSince)
    }
    if slots.isEmpty { (quietSince, repliedAt, nextDeadline) = (nil, nil, nil) }
    if slot.request.isClaim, slot.isDoubtful(replies) {
      if doubtful.count == Self.mostDoubtful { doubtful.removeFirst() }
      doubtful.append(slot.request)
    }
    var complete = Replies()
    swap(&complete, &replies)
    if let refusal = slot.refusal { complete = [.error(refusal)] }
    return Answered(slot.request, Request.Answer(replies: complete, sentAt: slot.sentAt))
  }

  /// The requests that are past their deadline.
  ///
  /// They keep their slots, so that late replies are not matched to other requests.
  mutating func overdue(at now: Instant) -> [Request] {
    guard let earliest = nextDeadline, earliest <= now else { return [] }
    var overdue: [Request] = []
    var next: Instant?
    for slot in slots where !slot.request.isFinished {
      if slot.request.deadline <= now {
        overdue.append(slot.request)
      } else {
        next = min(next ?? slot.request.deadline, slot.request.deadline)
      }
    }
    nextDeadline = next
    return overdue
  }

  /// Whether the server has been silent, or at one reply, for so long that the connection must be given up.
  func isStuck(at now: Instant) -> Bool { stuckAt.map { $0 <= now } ?? false }

  private var stuckAt: Instant? {
    guard let quietSince, let repliedAt else { return nil }
    return min(quietSince + longestSilence, repliedAt + longestSilence * Self.longestReply)
  }

  /// When to look again at deadlines and silence; nil while nothing is in flight.
  var nextEvent: Instant? {
    guard let stuckAt else { return nil }
    return min(nextDeadline ?? stuckAt, stuckAt)
  }

  /// The requests without an answer.
  var requests: some Sequence<Request> { slots.lazy.map(\.request) }

  /// Takes out all requests, because the connection is given up.
  mutating func removeAll() -> [Request] {
    defer { self = Self(operationTimeout: longestSilence) }
    return slots.map(\.request)
  }

  /// Whether all answers are in, and a further request has to show by its number whose they are.
  var isInDoubt: Bool { slots.isEmpty && !doubtful.isEmpty && !hasInquired }

  /// Notes that such a request is about to be sent; if it is refused, no other is.
  mutating func noteInquiry() { hasInquired = true }

  /// Notes that each refusal was its request's own.
  private mutating func dispelDoubt() {
    for request in doubtful { request.noteRefusal() }
    doubtful.removeAll()
  }

  /// Takes out the requests whose answers may have belonged to other requests.
  mutating func removeDoubtful() -> [Request] {
    defer { doubtful.removeAll() }
    for request in doubtful { request.noteRepetition() }
    // Not `Array(doubtful)` alone: see `PendingRequests.filter`.
    return doubtful.isEmpty ? [] : Array(doubtful)
  }
}
