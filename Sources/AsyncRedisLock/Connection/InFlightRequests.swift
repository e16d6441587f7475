internal import DequeModule

/// The requests that were sent on one connection and are not answered yet, in the order sent.
///
/// A pure state machine: the time is an argument, and what is to be done is returned.
struct InFlightRequests {
  private struct Slot {
    let request: Request
    let sentAt: Instant
    /// The number that a script has to answer with; nil of other commands.
    let question: UInt32?
    let replyCount: Int
    var replies: Replies = []
  }

  /// How long the server may say nothing at all while replies are due.
  private let longestSilence: Duration
  private var slots: Deque<Slot> = []
  /// When the server last said something, or when it was first asked after it had said everything.
  private var quietSince: Instant?
  /// No request in here has an earlier deadline that has not been looked at.
  private var nextDeadline: Instant?

  init(longestSilence: Duration) { self.longestSilence = longestSilence }

  var isEmpty: Bool { slots.isEmpty }

  var count: Int { slots.count }

  /// Adds a request whose commands are about to be written; `question` is the number that goes along, if it is a script.
  mutating func append(_ request: Request, sentAt: Instant, question: UInt32? = nil) {
    if slots.isEmpty { quietSince = sentAt }
    slots.append(
      Slot(
        request: request, sentAt: sentAt, question: question, replyCount: request.commandCount))
    nextDeadline = min(nextDeadline ?? request.deadline, request.deadline)
  }

  /// Notes that bytes arrived.
  mutating func heard(at now: Instant) { quietSince = now }

  /// A request with all its replies.
  struct Answered {
    let request: Request
    let answer: Request.Answer
  }

  /// Whose reply this is; nil when replies of the same request are still to come.
  ///
  /// - Throws: ``TransportError/protocolViolation(_:)`` when nobody asked for it, or when it answers another question.
  mutating func accept(_ reply: Reply) throws(TransportError) -> Answered? {
    guard !slots.isEmpty else { throw .protocolViolation("a reply that nobody asked for") }
    slots[0].replies.append(try slots[0].question.map(reply.answer) ?? reply)
    guard slots[0].replies.count == slots[0].replyCount else { return nil }
    let slot = slots.removeFirst()
    if slots.isEmpty {
      quietSince = nil
      nextDeadline = nil
    }
    return Answered(
      request: slot.request, answer: Request.Answer(replies: slot.replies, sentAt: slot.sentAt))
  }

  /// The requests that are past their deadline.
  ///
  /// They keep their slots, so that the replies, if they come, are matched to nobody else.
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

  /// Whether the server has been silent for so long that the connection has to be given up.
  func isSilent(at now: Instant) -> Bool {
    guard let quietSince, !slots.isEmpty else { return false }
    return quietSince + longestSilence <= now
  }

  /// When to look again at deadlines and silence; nil while nothing is in flight.
  var nextEvent: Instant? {
    guard let quietSince, !slots.isEmpty else { return nil }
    let silent = quietSince + longestSilence
    return min(nextDeadline ?? silent, silent)
  }

  /// The requests that are not answered.
  var requests: some Sequence<Request> { slots.lazy.map(\.request) }

  /// Takes out all requests, because the connection is given up.
  mutating func removeAll() -> [Request] {
    defer { self = Self(longestSilence: longestSilence) }
    return slots.map(\.request)
  }
}
