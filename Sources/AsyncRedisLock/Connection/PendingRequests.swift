internal import DequeModule

/// Requests that wait for a ready connection, in order of arrival; those that extend leases go first, then releases.
///
/// A crowd of acquisitions must not take so long that held locks are lost, or that a release gets no answer in time.
/// A stream of extensions must not keep others waiting for ever. None of those that go ahead concerns a lease that an
/// earlier request takes.
struct PendingRequests {
  private enum Urgency: Int, CaseIterable {
    case extending, releasing, other
    /// Not sent any more.
    case tooLate

    init(of request: Request) {
      self = request.leaseEnd != nil ? .extending : request.kind == .release ? .releasing : .other
    }
  }

  /// One queue for each urgency.
  private var queues = [Deque<Request>](repeating: [], count: Urgency.allCases.count)
  /// How many extensions have gone ahead since another request was taken out.
  private var extensionsInRow = 0
  /// No request in here has an earlier deadline that has not been checked.
  private(set) var nextDeadline: Instant?

  var isEmpty: Bool { queues.allSatisfy(\.isEmpty) }

  mutating func append(contentsOf new: [Request]) {
    for request in new {
      queues[Urgency(of: request).rawValue].append(request)
      note(request)
    }
  }

  /// Puts back requests that have been sent before, in front of the others.
  mutating func prepend(contentsOf returned: [Request]) {
    for request in returned.reversed() {
      queues[Urgency(of: request).rawValue].prepend(request)
      note(request)
    }
  }

  private mutating func note(_ request: Request) {
    nextDeadline = min(nextDeadline ?? request.deadline, request.deadline)
  }

  /// So many extensions go ahead of another request: one request of an extender is for up to 100 leases.
  private static let longestRow = 32

  /// The requests that may be sent now.
  struct Choice: OptionSet {
    let rawValue: UInt8

    static let extensions = Self(rawValue: 1)
    static let others = Self(rawValue: 2)
    static let all: Self = [extensions, others]
  }

  /// Which kinds of requests wait.
  var kinds: Choice {
    var kinds: Choice = []
    if !queues[Urgency.extending.rawValue].isEmpty { kinds.insert(.extensions) }
    let others = [Urgency.releasing, .other]
    if others.contains(where: { !queues[$0.rawValue].isEmpty }) { kinds.insert(.others) }
    return kinds
  }

  /// Whether there is a request to send now.
  func hasNext(of choice: Choice) -> Bool { !kinds.isDisjoint(with: choice) }

  /// The requests that have been waiting though nothing is amiss: there are too many.
  struct Crowd {
    let kinds: Choice
    /// The instant before which what is sent now has no answer.
    let earliestAnswer: Instant
  }

  /// Takes out the next request to send.
  ///
  /// Calls of a crowd that end before they can have an answer stay until they end. Otherwise, if all of it takes longer
  /// than the operation timeout, nearly all would be sent in vain, and be undone or sent again.
  mutating func popFirst(of choice: Choice = .all, beside crowd: Crowd? = nil) -> Request? {
    defer { if isEmpty { nextDeadline = nil } }
    let mayTakeOther = choice.contains(.others)
    if mayTakeOther, extensionsInRow >= Self.longestRow, let other = popOther(crowd) {
      return other
    }
    if choice.contains(.extensions), let next = pop(.extending, crowd, .extensions) {
      extensionsInRow += 1
      return next
    }
    return mayTakeOther ? popOther(crowd) : nil
  }

  private mutating func popOther(_ crowd: Crowd?) -> Request? {
    extensionsInRow = 0
    return queues[Urgency.releasing.rawValue].popFirst() ?? pop(.other, crowd, .others)
  }

  private mutating func pop(_ urgency: Urgency, _ crowd: Crowd?, _ kind: Choice) -> Request? {
    while let next = queues[urgency.rawValue].popFirst() {
      guard let crowd, crowd.kinds.contains(kind), next.kind == .call,
        next.deadline < crowd.earliestAnswer
      else { return next }
      queues[Urgency.tooLate.rawValue].append(next)
    }
    return nil
  }

  /// Takes out abandoned requests and requests past their deadline; returns the latter.
  mutating func removeOverdue(at now: Instant) -> [Request] {
    guard let earliest = nextDeadline, earliest <= now else { return [] }
    let overdue = filter { $0.deadline <= now }
    remove { $0.deadline <= now || $0.isFinished }
    return overdue
  }

  /// The requests that are `isIncluded`.
  func filter(_ isIncluded: (Request) -> Bool) -> [Request] {
    // Not `Array(queue.filter …)`: for an empty deque, that writes to memory which all empty arrays share, and
    // the thread sanitizer reports it.
    var included: [Request] = []
    for queue in queues {
      for request in queue where isIncluded(request) { included.append(request) }
    }
    return included
  }

  /// When the first lease ends that a waiting request extends.
  var earliestLeaseEnd: Instant? {
    queues[Urgency.extending.rawValue].lazy.compactMap(\.leaseEnd).min()
  }

  /// Takes out all requests that are `isIncluded`.
  mutating func removeAll(where isIncluded: (Request) -> Bool) -> [Request] {
    let removed = filter(isIncluded)
    remove(where: isIncluded)
    return removed
  }

  private mutating func remove(where isExcluded: (Request) -> Bool) {
    for index in queues.indices { queues[index].removeAll(where: isExcluded) }
    nextDeadline = queues.lazy.compactMap { $0.lazy.map(\.deadline).min() }.min()
  }
}
