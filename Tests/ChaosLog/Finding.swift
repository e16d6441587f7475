/// Something that must not happen and did.
public struct Finding: Sendable, Hashable, Codable, CustomStringConvertible {
  /// What must not happen.
  public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    /// Two held a key at once.
    case overlap
    /// Fencing tokens did not grow, or one was given out twice.
    case fence
    /// A holder's update of a register was lost.
    case lostUpdate
    /// No update of the unguarded register was lost, so the check might not be able to find any.
    case blindCheck
    /// Nobody held a key for too long though somebody waited.
    case gap
    /// A call took too long, or has not returned.
    case late
    /// A lock was lost for no reason.
    case loss
    /// Something was left behind: on the server, or in a process.
    case leftBehind
    /// A process ended by itself.
    case crash
    /// The run itself did not work.
    case harness
  }

  /// What has happened.
  public var kind: Kind
  /// What has happened, for people, with the records that show it.
  public var description: String

  /// Describes what has happened.
  public init(_ kind: Kind, _ description: String, _ attempts: Record...) {
    self.kind = kind
    self.description = ([description] + attempts.map { "    \($0.line)" }).joined(separator: "\n")
  }
}

extension Record {
  /// The record in one line.
  var line: String {
    let times: [(String, UInt64)] = [
      ("invoked", invoked), ("acquired", acquired), ("lastHeld", lastHeld),
      ("validUntil", validUntil), ("lost", lost), ("releaseCalled", releaseCalled),
      ("released", released), ("ended", ended), ("deadline", deadline),
    ]
    let text = times.filter { $0.1 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    return "slot \(slot) process \(process) task \(task) key \(key)\(isOneOfTwo ? " (of two)" : "")"
      + " token \(String(nonce, radix: 16)) fence \(fence): \(text), \(outcome), loss \(loss),"
      + " guarded \(guarded), twin \(twin)"
  }
}
