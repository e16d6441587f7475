/// The holder of a lock, as far as the value of its key describes it.
///
/// Holders that use this library describe themselves in the value. Of any other client, only ``value`` is known.
public struct LockHolder: Sendable, Hashable {
  /// The value of the key: the holder's token.
  public let value: String
  /// The name of the holder's host; nil for a foreign client.
  public let host: String?
  /// The process id of the holder on its host; nil for a foreign client.
  public let processID: Int32?
  /// The holder's ``LockOptions/label`` or ``LockerConfiguration/label``; nil if it set neither, and for a foreign
  /// client.
  public let label: String?
  /// The ``Locker/id`` of the holder's locker; nil for a foreign client.
  public let lockerID: String?

  /// Whether the holder wakes waiters when it releases; other holders must be polled.
  package let notifiesWaiters: Bool

  /// Describes the holder whose key holds `value`.
  package init(value: String) {
    let token = LockToken(parsing: value)
    self.value = value
    self.host = token?.host
    self.processID = token?.processID
    self.label = token?.label
    self.lockerID = token?.lockerID
    self.notifiesWaiters = token?.notifiesWaiters ?? false
  }
}

extension LockHolder: CustomStringConvertible {
  /// The holder's label, host and process; or that it is a foreign client.
  ///
  /// A foreign client's ``value`` is left out: a reader of the logs could release the lock with it.
  public var description: String {
    guard let host, let processID else { return "a client of another library" }
    return (label.map { "\($0) on " } ?? "") + "\(host), process \(processID)"
  }

  /// How a message to a locker names the holder.
  package func name(seenBy lockerID: String?) -> String {
    guard let ownID = self.lockerID, ownID == lockerID else { return description }
    return "another task or handle of this locker" + (label.map { " (\($0))" } ?? "")
  }
}
