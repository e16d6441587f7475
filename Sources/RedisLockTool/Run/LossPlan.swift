#if CommandLineTool
  /// When to end a command whose lock is being lost.
  ///
  /// A pure state machine: the time is an argument, and the next action is returned.
  struct LossPlan: Sendable {
    enum Action: Equatable, Sendable {
      /// Check again after this time.
      case wait(Duration)
      /// Ask the command to end, and check again after this time.
      case terminate(Duration)
      /// End the command.
      case kill
    }

    /// How long before the end of its validity the lock is given up.
    let margin: Duration
    /// How long before the end of its validity the command is killed.
    let reserve: Duration
    /// When the command was asked to end, when its time is over, and whether the lock had ended before.
    private var termination:
      (askedAt: ContinuousClock.Instant, killAt: ContinuousClock.Instant, isLate: Bool)?

    /// Whether the command was asked to end.
    var hasAsked: Bool { termination != nil }

    /// The lock may have been extended meanwhile, or the process may have slept.
    private static let longestWait = Duration.milliseconds(250)

    /// Plans for a lock that is held for `maxHold` at most; the time between the two signals is part of `grace`, if the
    /// ttl leaves that.
    init(ttl: Duration, extend: Duration, grace: Duration, maxHold: Duration? = nil) {
      let most = Self.longestGrace(ttl: ttl, extend: extend)
      // A short grace does not shorten what the kill takes.
      let share = min(most / 4, maxHold.map { $0 / 10 } ?? most)
      let enough = min(.milliseconds(100), max(share, Self.shortestReserve))
      margin = min(max(grace, enough + min(grace, enough)), most)
      reserve = min(enough, margin)
    }

    /// What the kill of one process takes on a busy machine.
    private static let shortestReserve = Duration.milliseconds(10)

    /// The longest possible grace.
    ///
    /// If an extension is late, at least half of the remaining time is for further attempts.
    static func longestGrace(ttl: Duration, extend: Duration) -> Duration {
      (ttl - extend) / 2
    }

    /// Decides what to do with this much validity left; `isGone` tells that, by the server, another holder has the
    /// lock.
    ///
    /// A command is always asked to end before it is killed, even if there is hardly any time. It is killed before the
    /// lock ends, unless that has ended unobserved.
    mutating func next(
      remaining: Duration, isGone: Bool, at now: ContinuousClock.Instant
    ) -> Action {
      if let (askedAt, end, isLate) = termination {
        // The lock may have been extended after all, but the command has been told otherwise.
        let killAt = isGone ? min(end, askedAt + Self.shortestGrace) : end
        let planned = now.duration(to: killAt)
        let left = isGone || isLate ? planned : min(planned, remaining - reserve)
        return left > .zero ? .wait(min(left, Self.longestWait)) : .kill
      }
      guard isGone || remaining <= margin else {
        return .wait(min(remaining - margin, Self.longestWait))
      }
      let isLate = isGone || remaining <= .zero
      let grace = isLate ? Self.shortestGrace : margin - reserve
      termination = (now, now + grace, isLate)
      let left = isLate ? grace : max(remaining - reserve, .zero)
      return .terminate(min(grace, left, Self.longestWait))
    }

    /// The time between the two signals if another holder may have the lock already.
    static let shortestGrace = Duration.milliseconds(100)
  }
#endif
