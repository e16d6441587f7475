internal import DequeModule

/// Requests that wait for a ready connection, in order of arrival; those that extend leases go first.
///
/// A crowd of acquisitions must not take so long that held locks are lost, and a stream of extensions must not keep
/// others waiting for ever. An extension concerns no lease that an earlier request takes or gives back.
struct PendingRequests {
  private var extensions: Deque<Request> = []
  private var others: Deque<Request> = []
  /// How many extensions have gone ahead since another request was taken out.
  private var extensionsInRow = 0
  /// No request in here has an earlier deadline that has not been checked.
  private(set) var nextDeadline: Instant?

  var isEmpty: Bool { extensions.isEmpty && others.isEmpty }

  mutating func append(contentsOf new: [Request]) {
    for request in new {
      if request.leaseEnd != nil { extensions.append(request) } else { others.append(request) }
      note(request)
    }
  }

  /// Puts back requests that have been sent before, in front of the others.
  mutating func prepend(contentsOf returned: [Request]) {
    for request in returned.reversed() {
      if request.leaseEnd != nil { extensions.prepend(request) } else { others.prepend(request) }
      note(request)
    }
  }

  private mutating func note(_ request: Request) {
    nextDeadline = min(nextDeadline ?? request.deadline, request.deadline)
  }

  /// So many extensions go ahead of another request: one request of an extender is for up to 100 leases.
  private static let longestRow = 32

  /// Whether there is a request to send now.
  func hasNext(extensionsOnly: Bool) -> Bool {
    !extensions.isEmpty || !extensionsOnly && !others.isEmpty
  }

  /// Takes out the next request to send.
  mutating func popFirst(extensionsOnly: Bool = false) -> Request? {
    defer { if isEmpty { nextDeadline = nil } }
    let isTurnOfOthers = extensions.isEmpty || extensionsInRow >= Self.longestRow
    if isTurnOfOthers, !extensionsOnly, let other = others.popFirst() {
      extensionsInRow = 0
      return other
    }
    extensionsInRow += 1
    return extensions.popFirst()
  }

  /// Takes out abandoned requests and requests past their deadline; returns the latter.
  mutating func removeOverdue(at now: Instant) -> [Request] {
    guard let earliest = nextDeadline, earliest <= now else { return [] }
    let overdue = filter { $0.deadline <= now }
    remove { $0.deadline <= now || $0.isFinished }
    return overdue
  }

  /// The waiting requests that are `isIncluded`, in order.
  func filter(_ isIncluded: (Request) -> Bool) -> [Request] {
    // Not `Array(requests.filter …)`: for an empty deque, that writes to memory which all empty arrays share, and
    // the thread sanitizer reports it.
    var included: [Request] = []
    for request in extensions where isIncluded(request) { included.append(request) }
    for request in others where isIncluded(request) { included.append(request) }
    return included
  }

  /// When the first lease ends that a waiting request extends.
  var earliestLeaseEnd: Instant? { extensions.lazy.compactMap(\.leaseEnd).min() }

  /// Takes out all requests that are `isIncluded`.
  mutating func removeAll(where isIncluded: (Request) -> Bool) -> [Request] {
    let removed = filter(isIncluded)
    remove(where: isIncluded)
    return removed
  }

  private mutating func remove(where isExcluded: (Request) -> Bool) {
    extensions.removeAll(where: isExcluded)
    others.removeAll(where: isExcluded)
    nextDeadline = [
      extensions.lazy.map(\.deadline).min(), others.lazy.map(\.deadline).min(),
    ].compactMap(\.self).min()
  }
}
