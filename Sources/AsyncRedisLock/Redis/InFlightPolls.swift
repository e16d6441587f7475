internal import Synchronization

/// The polls that are under way, by token; a place that is given up takes its poll with it.
final class InFlightPolls: Sendable {
  private let requests = Locked([String: Request]())

  func add(_ request: Request, for token: String) { requests.withLock { $0[token] = request } }

  @discardableResult
  func remove(_ token: String) -> Request? {
    requests.withLock { $0.isEmpty ? nil : $0.removeValue(forKey: token) }
  }
}
