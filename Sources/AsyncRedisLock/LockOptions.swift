/// How a lock is waited for, how long it is valid, and whether it is kept alive.
///
/// The defaults are those of the Rust crate of the same name; but ``extend`` follows the ttl. All durations are cut down to whole
/// milliseconds before they are sent, since that is the server's unit; none may be longer than ten years.
/// Every call that takes a lock checks its options first.
public struct LockOptions: Sendable, Hashable {
  /// The longest pause between two attempts when no one will announce the release; 100 ms by default.
  ///
  /// That is so for a lock of another make of client, and for every lock while the server cannot send
  /// messages. Each pause is a random share, between half and all of this, so that waiters do not ask in
  /// step. At least 1 ms.
  public var retry: Duration
  /// How long to wait for the lock at the most, or `nil` to wait for ever; 1 s by default.
  ///
  /// It also bounds the waiting for a server that cannot be reached or is not ready; with `nil`, that has no
  /// end either. At least 1 ms: not to wait is
  /// ``Locker/acquireIfAvailable(_:options:logger:)-(String,_,_)``.
  public var timeout: Duration?
  /// How long the lock outlives its last extension; 3 s by default.
  ///
  /// This is how long others wait when the holder's process dies. At least 10 ms.
  public var ttl: Duration
  /// How often the lock is extended in the background, or `nil` for never; a third of ``ttl`` by default.
  ///
  /// Unless it is set it follows the ttl, which leaves room for two failed extensions. If set, it has to be
  /// shorter than the ttl, and at least 1 ms. However long it is, a lock is extended a quarter of the ttl
  /// before its end.
  public var extend: Duration? {
    get { extending.interval(ttl: ttl) }
    set { extending = .set(newValue) }
  }
  /// How long others are kept from the lock at the least, also when it is released earlier; zero by default.
  ///
  /// For work that is done in less time than the clocks of machines differ by: without it, each of them runs
  /// a job that all start at noon. A release before that counts at once for its holder, and takes the key
  /// away only then; should the process end meanwhile, others notice that up to 5 s later. A process that
  /// dies before it releases leaves the lock for its ttl, and no longer. At most ``maxHold``.
  public var minHold: Duration
  /// How long the lock may be held at the most, or `nil` for any time; `nil` by default.
  ///
  /// After it the lock is lost, with the reason ``LossReason/heldTooLong``, however well it is extended. At
  /// least 10 ms.
  public var maxHold: Duration?
  /// A word for people who look at the server, stored with the lock, or `nil` for that of
  /// ``LockerConfiguration/label``; `nil` by default.
  ///
  /// At most 64 bytes, without control characters. Tasks of one locker that wait for the same keys share a
  /// place in the queue, and with it the label of the first of them.
  public var label: String?

  /// How often to extend.
  private enum Extending: Hashable {
    case byThirds
    case set(Duration?)

    func interval(ttl: Duration) -> Duration? {
      switch self {
      case .byThirds: ttl / 3
      case .set(let interval): interval
      }
    }
  }

  private var extending = Extending.byThirds

  /// Creates options that extend a lock every third of its ttl; every argument has the default of the
  /// property of its name.
  public init(
    retry: Duration = .milliseconds(100),
    timeout: Duration? = .seconds(1),
    ttl: Duration = .seconds(3),
    minHold: Duration = .zero,
    maxHold: Duration? = nil,
    label: String? = nil
  ) {
    self.retry = retry
    self.timeout = timeout
    self.ttl = ttl
    self.minHold = minHold
    self.maxHold = maxHold
    self.label = label
  }

  /// Creates options with an interval of extension, or with `nil` for none; every other argument has the
  /// default of the property of its name.
  public init(
    retry: Duration = .milliseconds(100),
    timeout: Duration? = .seconds(1),
    ttl: Duration = .seconds(3),
    extend: Duration?,
    minHold: Duration = .zero,
    maxHold: Duration? = nil,
    label: String? = nil
  ) {
    self.init(
      retry: retry, timeout: timeout, ttl: ttl, minHold: minHold, maxHold: maxHold, label: label)
    self.extend = extend
  }

  /// The shortest ttl that is accepted: below it, the allowance for clock drift (1 % of the ttl and
  /// 2 ms) and one round trip would leave nothing to work in.
  static let minimumTTL = Duration.milliseconds(10)

  /// Checks every option against its rule.
  ///
  /// - Throws: ``LockError/Code/invalidOptions``, naming the value and the rule.
  package func validate() throws(LockError) {
    try retry.validate(as: "retry", atLeast: .milliseconds(1))
    try timeout?.validate(as: "timeout", atLeast: .milliseconds(1))
    try ttl.validate(as: "ttl", atLeast: Self.minimumTTL)
    if case .set(let extend?) = extending {
      try extend.validate(as: "extend", atLeast: .milliseconds(1))
      guard extend.wholeMilliseconds < ttl.wholeMilliseconds else {
        throw LockError(
          .invalidOptions,
          "extend (\(extend.roundedForMessage)) has to be shorter than ttl (\(ttl.roundedForMessage))"
        )
      }
    }
    try minHold.validate(as: "minHold", atLeast: .zero)
    if let maxHold {
      try maxHold.validate(as: "maxHold", atLeast: Self.minimumTTL)
      guard minHold <= maxHold else {
        throw LockError(
          .invalidOptions,
          "minHold (\(minHold.roundedForMessage)) has to be at most maxHold "
            + "(\(maxHold.roundedForMessage))")
      }
    }
    if let label { try LockerConfiguration.check(label: label, as: "label", .invalidOptions) }
  }
}

extension Duration {
  /// Checks that the duration can be sent to the server as a positive number of milliseconds.
  ///
  /// A ttl of zero or less would delete the key that it is meant to prolong, and some servers take
  /// one that overflows as an endless one.
  func validate(
    as name: String, atLeast minimum: Duration, code: LockError.Code = .invalidOptions
  ) throws(LockError) {
    guard self >= minimum else {
      throw LockError(
        code, "\(name) (\(roundedForMessage)) has to be at least \(minimum.roundedForMessage)")
    }
    guard self <= Self.longest else {
      throw LockError(code, "\(name) (\(roundedForMessage)) has to be at most 10 years")
    }
  }

  /// Ten years: far from every overflow here and on the server, and longer than any sane lock.
  static let longest = Duration.seconds(10 * 365 * 24 * 60 * 60)

  /// Whole nanoseconds, rounded down; of a duration that fits.
  package var wholeNanoseconds: Int64 {
    // Below nine seconds, a division of machine words does.
    if let attoseconds = Int64(exactly: attoseconds) { return attoseconds / 1_000_000_000 }
    return Int64(attoseconds / 1_000_000_000)
  }

  /// Whole milliseconds, rounded down; of a duration that has been validated.
  package var wholeMilliseconds: Int64 { wholeNanoseconds / 1_000_000 }
}
