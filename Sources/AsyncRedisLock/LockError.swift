/// What went wrong with a lock, and what can be done about it.
///
/// Switch over ``code``, or match it in a `catch`:
///
/// ```swift
/// do {
///   try await locker.withLock("invoices") { _ in try await bill() }
/// } catch LockError.Code.timeout {
///   // Another client holds the lock.
/// } catch LockError.Code.lost {
///   // The lock was lost while the body ran; its task was cancelled.
/// }
/// ```
///
/// Cancellation of the task is not a `LockError`: calls then throw `CancellationError`.
public struct LockError: Error, Sendable, Hashable {
  /// The kind of failure, to switch over; see ``Code``.
  public let code: Code
  /// One sentence that names the value and the rule, and contains no secret.
  public let message: String
  /// The keys of the failed call; empty if no key is involved.
  public let keys: [String]
  /// The step that failed, if the failure belongs to one.
  public let phase: Phase?
  /// How long the call had waited when it failed; nil if that is not known.
  public let waited: Duration?
  /// The holder of the lock when last asked, if known; for a lost lock, its new holder.
  public let holder: LockHolder?
  /// Why the lock was lost, for the code ``Code/lost``; nil if the lock was released before, or never held.
  public let lossReason: LossReason?
  /// The first word of the server's error reply, such as `NOPERM`, if there was one.
  public let serverCode: String?
  /// Whether the same call may succeed later, without any other change.
  ///
  /// A lost lock is gone for its handle. So among errors with the code ``Code/lost``, only errors of `withLock`,
  /// which acquires the lock again, are retryable.
  public let isRetryable: Bool

  package init(
    _ code: Code,
    _ message: String,
    keys: [String] = [],
    phase: Phase? = nil,
    waited: Duration? = nil,
    holder: LockHolder? = nil,
    lossReason: LossReason? = nil,
    serverCode: String? = nil,
    isRetryable: Bool? = nil
  ) {
    self.code = code
    self.message = message
    self.keys = keys
    self.phase = phase
    self.waited = waited
    self.holder = holder
    self.lossReason = lossReason
    self.serverCode = serverCode
    // If a handle or a detached lock has lost its lock, no repetition brings the lock back.
    let isGone = code == .lost && phase != nil
    self.isRetryable = isRetryable ?? (code.isUsuallyRetryable && !isGone)
  }

  /// Matches an error by its code, so that a `catch` can name the code alone.
  public static func ~= (code: Code, error: LockError) -> Bool { error.code == code }
}

extension LockError {
  /// The kinds of failure; new ones may be added in a minor version.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    private enum Value: String {
      case invalidOptions, invalidKey, invalidURL, tlsUnavailable, tlsFailed
      case timeout, tooManyWaiters, lost, wouldDeadlock
      case unreachable, refused, closed
    }

    private let value: Value

    private init(_ value: Value) { self.value = value }

    /// An option or a configuration value is out of its range; nothing was sent.
    public static let invalidOptions = Self(.invalidOptions)
    /// A key is empty, too long, or begins with ``LockerConfiguration/keyPrefix``, or there is no key; nothing was
    /// sent.
    public static let invalidKey = Self(.invalidKey)
    /// The URL of a server is malformed.
    public static let invalidURL = Self(.invalidURL)
    /// TLS was requested but is not built in: the package trait `TLS` is off.
    public static let tlsUnavailable = Self(.tlsUnavailable)
    /// The server's certificate was not accepted, the server did not accept the client's, or TLS failed otherwise.
    ///
    /// The same call fails again until a certificate, a file or a setting has changed.
    public static let tlsFailed = Self(.tlsFailed)
    /// Another holder had the lock for as long as the call was allowed to wait.
    public static let timeout = Self(.timeout)
    /// ``LockerConfiguration/maxWaiters`` tasks are waiting for the lock already.
    public static let tooManyWaiters = Self(.tooManyWaiters)
    /// The lock was lost while it was needed.
    public static let lost = Self(.lost)
    /// The task would wait for a lock that it holds itself, through `withLock`.
    ///
    /// This is not detected if the task holds the lock by a handle, or if the `withLock` runs in a parent task.
    /// Such a call waits for itself until its timeout.
    public static let wouldDeadlock = Self(.wouldDeadlock)
    /// The server could not be reached, or did not answer in time.
    public static let unreachable = Self(.unreachable)
    /// The server answered with an error, see ``LockError/serverCode``.
    public static let refused = Self(.refused)
    /// The locker was closed.
    public static let closed = Self(.closed)

    /// The code's name, as in the source.
    public var description: String { value.rawValue }

    fileprivate var isUsuallyRetryable: Bool {
      self == .timeout || self == .tooManyWaiters || self == .lost || self == .unreachable
    }

    /// Matches any error that is a ``LockError`` with this code.
    public static func ~= (code: Code, error: any Error) -> Bool {
      (error as? LockError)?.code == code
    }
  }

  /// The steps in the life of a lock in which a call can fail; new ones may be added in a minor version.
  public struct Phase: Sendable, Hashable, CustomStringConvertible {
    private enum Value: String {
      case connect, acquire, extend, release, inspect, forceRelease, detach, adopt, ping
    }

    private let value: Value

    /// Connecting to the server, with authentication.
    public static let connect = Self(value: .connect)
    /// Taking the lock, or waiting for it.
    public static let acquire = Self(value: .acquire)
    /// Prolonging the lock.
    public static let extend = Self(value: .extend)
    /// Giving the lock back.
    public static let release = Self(value: .release)
    /// Asking about a lock.
    public static let inspect = Self(value: .inspect)
    /// Taking a lock away from its holder.
    public static let forceRelease = Self(value: .forceRelease)
    /// Leaving the lock to another process.
    public static let detach = Self(value: .detach)
    /// Taking over a lock that another process has left.
    public static let adopt = Self(value: .adopt)
    /// Asking the server for a sign of life.
    public static let ping = Self(value: .ping)

    /// The step's name, as in the source.
    public var description: String { value.rawValue }
  }
}

extension LockError: CustomStringConvertible {
  /// The error in one line, for logs.
  public var description: String {
    var text = "\(code)"
    if let phase { text += " (\(phase))" }
    text += ": \(message)"
    if !keys.isEmpty {
      let shown = keys.prefix(3).map(\.abbreviatedForMessage).joined(separator: ", ")
      text += " [keys: \(shown)\(keys.count > 3 ? " and \(keys.count - 3) more" : "")]"
    }
    if let waited { text += " [waited: \(waited.roundedForMessage)]" }
    if let holder, !message.contains(holder.description) { text += " [holder: \(holder)]" }
    return text
  }
}

extension String {
  /// The string, quoted, escaped, and cut to a length fit for a message.
  package var abbreviatedForMessage: String { escaped(upTo: 64, isQuoted: true) }

  /// The string, escaped and cut, as a part of a message.
  package func escaped(upTo limit: Int, isQuoted: Bool = false) -> String {
    let head = unicodeScalars.prefix(limit)
    let text = head.map { Self.escape($0, isQuoted: isQuoted) }.joined()
    let ellipsis = head.endIndex == endIndex ? "" : "… (\(utf8.count) bytes)"
    return (isQuoted ? "\"\(text)\"" : text) + ellipsis
  }

  /// Escapes characters that would break a line, hide text or reverse it.
  private static func escape(_ scalar: Unicode.Scalar, isQuoted: Bool) -> String {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse:
      scalar.escaped(asASCII: true)
    default:
      isQuoted && (scalar == "\"" || scalar == "\\")
        ? scalar.escaped(asASCII: false) : String(scalar)
    }
  }
}
