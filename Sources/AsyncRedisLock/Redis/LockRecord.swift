/// What a holder leaves beside its lock for people who look at the server, if it wants to.
///
/// It says nothing that a decision depends on: its key is set after the lock's own, and may outlast it.
package struct LockRecord: Sendable, Equatable {
  /// The token of the lock that it is about; of another one it is out of date.
  package let token: String
  /// When the lock was taken, in milliseconds since 1970 by the holder's clock.
  package let since: Int64
  package let fencingToken: UInt64?

  package init(token: String, since: Int64, fencingToken: UInt64?) {
    self.token = token
    self.since = since
    self.fencingToken = fencingToken
  }

  /// Reads what a key holds; nil if that is no record.
  package init?(parsing text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, let since = Int64(words[1]) else { return nil }
    token = String(words[0])
    self.since = since
    fencingToken = UInt64(words[2])
  }

  /// As the key holds it.
  package var text: String { "\(token) \(since) \(fencingToken.map(String.init) ?? "-")" }
}
