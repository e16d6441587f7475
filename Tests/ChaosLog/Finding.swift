/// A violation that was found.
public struct Finding: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The kinds of violations.
  public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    /// A key had two holders at once.
    case overlap
    /// Fencing tokens did not grow, or one was issued twice.
    case fence
    /// A holder's update of a register was lost.
    case lostUpdate
    /// No update of the unguarded register was lost, so the check might be blind.
    case blindCheck
    /// A key was free for too long although a call waited for it.
    case gap
    /// A call took too long, or has not returned.
    case late
    /// A lock was lost without a reason.
    case loss
    /// Something was left behind: on the server, or in a process.
    case leftBehind
    /// A process ended by itself.
    case crash
    /// The run itself did not work.
    case harness
  }

  /// The kind of the violation.
  public var kind: Kind
  /// A description for people, with the records that show the violation.
  public var description: String

  /// Describes a violation.
  public init(_ kind: Kind, _ description: String, _ attempts: Record..., near: [String] = []) {
    self.kind = kind
    self.description = ([description] + (attempts.map(\.line) + near).map { "    \($0)" })
      .joined(separator: "\n")
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
