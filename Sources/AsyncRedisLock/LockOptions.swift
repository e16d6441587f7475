/// How to wait for a lock, how long it is valid, and whether it is kept alive.
///
/// The defaults are the same as in the Rust crate of the same name, except that ``extend`` follows the ttl. The
/// server's unit is the millisecond: all durations are cut down to whole milliseconds before they are sent. None
/// may be longer than ten years. Every call that takes a lock checks its options first.
public struct LockOptions: Sendable, Hashable {
  /// The longest pause between two attempts if waiters can't be notified of the release; 100 ms by default.
  ///
  /// That is so for the lock of another client library, and for every lock while the server cannot send messages.
  /// Each pause is a random share, between half and all of this, so that waiters do not ask in step. At least 1
  /// ms.
  public var retry: Duration
  /// How long to wait for the lock at most, or `nil` to wait for ever; 1 s by default.
  ///
  /// It also limits how long to wait for a server that cannot be reached or is not ready; if `nil`, that wait has
  /// no end either. At least 1 ms. To not wait at all, use
  /// ``Locker/acquireIfAvailable(_:options:logger:)-(String,_,_)``.
  public var timeout: Duration?
  /// How long the lock outlives its last extension; 3 s by default.
  ///
  /// Other clients wait this long if the holder's process dies. At least 10 ms. With a quorum of servers, at most the
  /// time for which a restarted server gets no new locks: see ``Locker/init(quorum:restartDelay:logger:)``.
  public var ttl: Duration
  /// How often the lock is extended in the background, or `nil` for never; a third of ``ttl`` by default.
  ///
  /// Unless it is set, it follows the ttl, which leaves room for two failed extensions. If set, it must be
  /// shorter than the ttl, and at least 1 ms. However long it is, a lock is extended at the latest when a quarter
  /// of the ttl is left.
  public var extend: Duration? {
    // Dividing a duration itself goes through generic arithmetic.
    get { isExtendSet ? setExtend : Duration(attoseconds: ttl.attoseconds / 3) }
    set { (isExtendSet, setExtend) = (true, newValue) }
  }
  /// The minimum time for which other clients cannot get the lock, even if it is released earlier; zero by
  /// default.
  ///
  /// For work that takes less time than the clocks of machines differ by: without it, each machine runs a job that
  /// all start at noon. An earlier release counts at once for the holder, but frees the key only at the end of
  /// this time. If the process ends meanwhile, waiters notice the free key up to 5 s later. If it dies before the
  /// release, the lock stays for its ttl and no longer. At most ``maxHold``.
  public var minHold: Duration
  /// How long the lock may be held at most, or `nil` for any time; `nil` by default.
  ///
  /// After that time the lock is lost, with the reason ``LossReason/heldTooLong``, even if it is extended. At
  /// least 10 ms.
  public var maxHold: Duration?
  /// A label stored with the lock and shown when the lock is inspected, or `nil` for ``LockerConfiguration/label``;
  /// `nil` by default.
  ///
  /// At most 64 bytes, without control characters. If tasks of one locker wait for the same keys, they share a
  /// place in the queue, and with it the label of the first of them.
  public var label: String?

  // Not an enum with payloads: printed options would show the address of a private type.
  private var isExtendSet = false
  private var setExtend: Duration?

  /// Creates options that extend a lock every third of its ttl; each argument defaults to the default of the
  /// property with its name.
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

  /// Creates options with an extension interval, or with `nil` for none; each other argument defaults to the
  /// default of the property with its name.
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

  /// The shortest ttl that is accepted.
  ///
  /// Below it, the allowance for clock drift (1 % of the ttl and 2 ms) and one round trip would leave no time for
  /// work.
  static let minimumTTL = Duration.milliseconds(10)

  /// Checks every option against its rule.
  ///
  /// `longestTTL` is what the store allows; nil for any.
  ///
  /// - Throws: ``LockError/Code/invalidOptions``, naming the value and the rule.
  package func validate(longestTTL: Duration? = nil) throws(LockError) {
    try ttl.check(as: "ttl", againstRestartDelay: longestTTL)
    try minHold.check(as: "minHold", againstRestartDelay: longestTTL)
    try retry.validate(as: "retry", atLeast: .milliseconds(1))
    try timeout?.validate(as: "timeout", atLeast: .milliseconds(1))
    try ttl.validate(as: "ttl", atLeast: Self.minimumTTL)
    if isExtendSet, let extend {
      try extend.validate(as: "extend", atLeast: .milliseconds(1))
      guard extend.wholeMilliseconds < ttl.wholeMilliseconds else {
        throw LockError(
          .invalidOptions,
          "extend (\(extend.roundedForMessage)) must be shorter than ttl (\(ttl.roundedForMessage))"
        )
      }
    }
    try minHold.validate(as: "minHold", atLeast: .zero)
    if let maxHold {
      try maxHold.validate(as: "maxHold", atLeast: Self.minimumTTL)
      guard minHold <= maxHold else {
        throw LockError(
          .invalidOptions,
          "minHold (\(minHold.roundedForMessage)) must be at most maxHold "
            + "(\(maxHold.roundedForMessage))")
      }
    }
    if let label { try LockerConfiguration.check(label: label, as: "label", .invalidOptions) }
  }
}

extension Duration {
  /// Checks that the duration can be sent to the server as a positive number of milliseconds.
  ///
  /// If a ttl were zero or less, it would delete the key that it is meant to prolong, and some servers take one
  /// that overflows as endless.
  func validate(
    as name: String, atLeast minimum: Duration, code: LockError.Code = .invalidOptions
  ) throws(LockError) {
    guard self >= minimum else {
      throw LockError(
        code, "\(name) (\(roundedForMessage)) must be at least \(minimum.roundedForMessage)")
    }
    guard self <= Self.longest else {
      throw LockError(code, "\(name) (\(roundedForMessage)) must be at most 10 years")
    }
  }

  /// Checks that no key outlasts the time for which a restarted server of a quorum gets no new locks.
  func check(as name: String, againstRestartDelay delay: Duration?) throws(LockError) {
    guard let delay, self > delay else { return }
    throw LockError(
      .invalidOptions,
      "\(name) (\(roundedForMessage)) must be at most restartDelay (\(delay.roundedForMessage))")
  }

  /// Ten years: far from every overflow here and on the server, and longer than any reasonable lock.
  static let longest = Duration.seconds(10 * 365 * 24 * 60 * 60)

  /// Whole nanoseconds, rounded down; for a duration that fits.
  package var wholeNanoseconds: Int64 {
    // Below nine seconds, a division of machine words is enough.
    let attoseconds = attoseconds
    let low = Int64(truncatingIfNeeded: attoseconds)
    return Int128(low) == attoseconds
      ? low / 1_000_000_000 : Int64(attoseconds / 1_000_000_000)
  }

  /// Whole milliseconds, rounded down; for a validated duration.
  package var wholeMilliseconds: Int64 { wholeNanoseconds / 1_000_000 }
}
