/// One attempt to take one key, and what became of it; an attempt to take two keys is two of these.
///
/// Instants are those of ``LogClock``, and 0 if they have not come before the process ended.
public struct Record: Sendable, Hashable {
  /// How the attempt, or the holding, ended.
  public enum Outcome: UInt64, Sendable, Hashable, Codable, CaseIterable {
    /// Not at all, or the process was killed.
    case open
    /// Released, by a call that said so, or by one that says nothing.
    case released
    /// Released, and told that it had expired.
    case expired
    /// Released, and told that it was another's.
    case takenByAnother
    /// Released, without an answer in time.
    case unanswered
    /// Not taken: somebody else held it for too long.
    case timeout
    /// Not taken: no answer, or the server refused.
    case unreachable
    /// Not taken: the task was cancelled.
    case cancelled
    /// Not taken: somebody held it, and the call does not wait.
    case unavailable
    /// Not taken: the locker was closed.
    case closed
    /// Taken, and lost before the body of `withLock` could begin.
    case lost
  }

  /// What became of one write to a register.
  public enum Write: UInt64, Sendable, Hashable {
    /// Not tried.
    case none
    /// Begun; whether it was done is known only if something follows.
    case begun
    /// Done.
    case done
    /// Refused by the register.
    case refused
  }

  /// Why a holder has found its lock gone.
  public enum Loss: UInt64, Sendable, Hashable {
    /// It has not.
    case none
    /// Its validity has ended.
    case expired
    /// The server said so.
    case takenAway
  }

  /// The number of the record in the log.
  public var slot = 0
  /// Whose it is.
  public var process: Int32 = 0
  /// The number of the task in its process.
  public var task = 0
  /// The number of the key.
  public var key = 0
  /// Whether the call waits for a holder.
  public var waits = true
  /// Whether the key is one of two.
  public var isOneOfTwo = false
  /// The random part of the token.
  public var nonce: UInt64 = 0
  /// The fencing token.
  public var fence: UInt64 = 0
  /// When the call was made.
  public var invoked: UInt64 = 0
  /// When the call has to have returned.
  public var deadline: UInt64 = 0
  /// When the call returned.
  public var ended: UInt64 = 0
  /// When the holder had its lock, and found it held after that.
  public var acquired: UInt64 = 0
  /// Until when the lock was known to be valid when the holder last looked.
  public var validUntil: UInt64 = 0
  /// When the holder last found its lock held.
  public var lastHeld: UInt64 = 0
  /// When the release was called.
  public var releaseCalled: UInt64 = 0
  /// When the release returned.
  public var released: UInt64 = 0
  /// When the holder found its lock gone.
  public var lost: UInt64 = 0
  /// Why it was.
  public var loss = Loss.none
  /// How it ended.
  public var outcome = Outcome.open
  /// What the register that looks at fences made of the write.
  public var guarded = Write.none
  /// What the register that looks at nothing made of it.
  public var twin = Write.none

  /// An attempt of which nothing is known.
  public init() {}

  /// When the holder's right to the key ended at the latest.
  public var end: UInt64 {
    releaseCalled == 0 ? validUntil : min(validUntil, releaseCalled)
  }

  /// When the holder last acted as one.
  public var endOfBelief: UInt64 { releaseCalled == 0 ? lastHeld : min(lastHeld, releaseCalled) }

  /// Whether there was an instant at which the key was held.
  public var isHolding: Bool { acquired > 0 && end > acquired }
}
