/// One attempt to take one key, and its outcome; an attempt to take two keys makes two records.
///
/// Instants are those of ``LogClock``, or 0 if the process ended before them.
public struct Record: Sendable, Hashable {
  /// The end of an attempt, or of the holding.
  public enum Outcome: UInt64, Sendable, Hashable, Codable, CaseIterable {
    /// No end: the process was killed.
    case open
    /// Released, by a call that said so or by one that reports no outcome.
    case released
    /// Released, but the call said that it had expired.
    case expired
    /// Released, but the call said that another holder had taken the key.
    case takenByAnother
    /// Released, without an answer in time.
    case unanswered
    /// Not taken: another holder kept it for too long.
    case timeout
    /// Not taken: no answer, or the server refused.
    case unreachable
    /// Not taken: the task was cancelled.
    case cancelled
    /// Not taken: the key was held, and the call does not wait.
    case unavailable
    /// Not taken: the locker was closed.
    case closed
    /// Taken, and lost before the body of `withLock` could begin.
    case lost
  }

  /// The outcome of one write to a register.
  public enum Write: UInt64, Sendable, Hashable {
    /// Not tried.
    case none
    /// Begun; only later entries show whether it was done.
    case begun
    /// Done.
    case done
    /// Refused by the register.
    case refused
  }

  /// The reason why a holder has lost its lock.
  public enum Loss: UInt64, Sendable, Hashable {
    /// Not lost.
    case none
    /// Its validity has ended.
    case expired
    /// The server said that the lock was gone.
    case takenAway
  }

  /// The number of the record in the log.
  public var slot = 0
  /// The process that owns the record.
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
  /// When the caller made the call.
  public var invoked: UInt64 = 0
  /// The deadline by which the call must have returned.
  public var deadline: UInt64 = 0
  /// When the call returned.
  public var ended: UInt64 = 0
  /// When the holder got its lock and found it held.
  public var acquired: UInt64 = 0
  /// Until when the lock was known to be valid when the holder last checked.
  public var validUntil: UInt64 = 0
  /// When the holder last found its lock to be held.
  public var lastHeld: UInt64 = 0
  /// When the release was called.
  public var releaseCalled: UInt64 = 0
  /// When the release returned.
  public var released: UInt64 = 0
  /// When the holder found its lock to be lost.
  public var lost: UInt64 = 0
  /// The reason of that loss.
  public var loss = Loss.none
  /// How the attempt ended.
  public var outcome = Outcome.open
  /// The outcome of the write to the register that checks fences.
  public var guarded = Write.none
  /// The outcome of the write to the register that checks nothing.
  public var twin = Write.none

  /// An attempt without any facts.
  public init() {}

  /// The latest end of the holder's right to the key.
  public var end: UInt64 {
    releaseCalled == 0 ? validUntil : min(validUntil, releaseCalled)
  }

  /// When the holder last acted on its lock.
  public var endOfBelief: UInt64 { releaseCalled == 0 ? lastHeld : min(lastHeld, releaseCalled) }

  /// Whether the key was held at any instant.
  public var isHolding: Bool { acquired > 0 && end > acquired }
}
