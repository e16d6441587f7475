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
    /// When the command was asked to end, and when its time is over.
    private var termination: (askedAt: ContinuousClock.Instant, killAt: ContinuousClock.Instant)?

    /// The lock may have been extended meanwhile, or the process may have slept.
    private static let longestWait = Duration.milliseconds(250)

    /// Plans for a lock; `grace` is how long the command gets between the two signals, if the ttl leaves that.
    init(ttl: Duration, extend: Duration, grace: Duration) {
      let most = Self.longestGrace(ttl: ttl, extend: extend)
      margin = min(grace, most)
      reserve = min(.milliseconds(100), margin / 4)
    }

    /// The longest possible grace.
    ///
    /// If an extension is late, at least half of the remaining time is for further attempts.
    static func longestGrace(ttl: Duration, extend: Duration) -> Duration {
      (ttl - extend) / 2
    }

    /// Decides what to do with this much validity left; `isGone` tells that, by the server, another holder has the
    /// lock.
    ///
    /// A command is always asked to end before it is killed, even if there is hardly any time.
    mutating func next(
      remaining: Duration, isGone: Bool, at now: ContinuousClock.Instant
    ) -> Action {
      if let (askedAt, planned) = termination {
        // The lock may have been extended after all, but the command has been told otherwise.
        let isUrgent = isGone || remaining <= reserve
        let killAt = isUrgent ? min(planned, askedAt + Self.shortestGrace) : planned
        guard now < killAt else { return .kill }
        let left =
          isUrgent ? now.duration(to: killAt) : min(remaining - reserve, now.duration(to: killAt))
        return .wait(min(left, Self.longestWait))
      }
      guard isGone || remaining <= margin else {
        return .wait(min(remaining - margin, Self.longestWait))
      }
      let grace = isGone ? Self.shortestGrace : max(margin - reserve, Self.shortestGrace)
      termination = (now, now + grace)
      let left = max(remaining - reserve, Self.shortestGrace)
      return .terminate(min(grace, left, Self.longestWait))
    }

    /// The time between the two signals if another holder may have the lock already.
    static let shortestGrace = Duration.milliseconds(100)
  }
#endif
