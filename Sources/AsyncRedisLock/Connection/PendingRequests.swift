internal import DequeModule

/// Requests that wait for a ready connection, in order of arrival.
struct PendingRequests {
  private var requests: Deque<Request> = []
  /// No request in here has an earlier deadline that has not been checked.
  private(set) var nextDeadline: Instant?

  var isEmpty: Bool { requests.isEmpty }

  mutating func append(contentsOf new: [Request]) {
    for request in new {
      requests.append(request)
      nextDeadline = min(nextDeadline ?? request.deadline, request.deadline)
    }
  }

  /// Puts back requests that have been sent before, in front of the others.
  mutating func prepend(contentsOf returned: [Request]) {
    requests.prepend(contentsOf: returned)
    for request in returned {
      nextDeadline = min(nextDeadline ?? request.deadline, request.deadline)
    }
  }

  mutating func popFirst() -> Request? {
    defer { if requests.isEmpty { nextDeadline = nil } }
    return requests.popFirst()
  }

  /// Takes out abandoned requests and requests past their deadline; returns the latter.
  mutating func removeOverdue(at now: Instant) -> [Request] {
    guard let earliest = nextDeadline, earliest <= now else { return [] }
    let overdue = filter { $0.deadline <= now }
    requests.removeAll { $0.deadline <= now || $0.isFinished }
    nextDeadline = requests.lazy.map(\.deadline).min()
    return overdue
  }

  /// The waiting requests that are `isIncluded`, in order.
  func filter(_ isIncluded: (Request) -> Bool) -> [Request] {
    // Not `Array(requests.filter …)`: for an empty deque, that writes to memory which all empty arrays share, and
    // the thread sanitizer reports it.
    var included: [Request] = []
    for request in requests where isIncluded(request) { included.append(request) }
    return included
  }

  /// When the first lease ends that a waiting request extends.
  var earliestLeaseEnd: Instant? { requests.lazy.compactMap(\.leaseEnd).min() }

  /// Takes out all requests that are `isIncluded`.
  mutating func removeAll(where isIncluded: (Request) -> Bool) -> [Request] {
    let removed = filter(isIncluded)
    requests.removeAll(where: isIncluded)
    nextDeadline = requests.lazy.map(\.deadline).min()
    return removed
  }
}
