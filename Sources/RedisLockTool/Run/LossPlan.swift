#if CommandLineTool
  /// When to end a command whose lock is being lost.
  ///
  /// A pure state machine: the time is an argument, and what is to be done is returned.
  struct LossPlan: Sendable {
    enum Action: Equatable, Sendable {
      /// Look again after this.
      case wait(Duration)
      /// Ask the command to end, and look again after this.
      case terminate(Duration)
      /// End the command.
      case kill
    }

    /// How long before the end of its validity the lock is given up.
    let margin: Duration
    /// How long before it the command is killed.
    let reserve: Duration
    /// When the command was asked to end, and when it has had its time.
    private var termination: (askedAt: ContinuousClock.Instant, killAt: ContinuousClock.Instant)?

    /// The lock may have been extended meanwhile, or the process may have slept.
    private static let longestWait = Duration.milliseconds(250)

    /// Plans for a lock; `grace` is how long the command gets between the two signals, if the ttl leaves that.
    init(ttl: Duration, extend: Duration, grace: Duration) {
      let most = Self.longestGrace(ttl: ttl, extend: extend)
      margin = min(grace, most)
      reserve = min(.milliseconds(100), margin / 4)
    }

    /// How long a command can be given: at least half of what an extension that is late leaves is for further
    /// attempts.
    static func longestGrace(ttl: Duration, extend: Duration) -> Duration {
      (ttl - extend) / 2
    }

    /// What to do with this much validity left; `isGone` tells that the server says the lock is another's.
    ///
    /// A command is always asked to end before it is killed, also when there is hardly time.
    mutating func next(
      remaining: Duration, isGone: Bool, at now: ContinuousClock.Instant
    ) -> Action {
      if let (askedAt, planned) = termination {
        // The lock may have been extended after all; the command has been told otherwise.
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

    /// What a command has between the two signals when the lock may be another's already.
    static let shortestGrace = Duration.milliseconds(100)
  }
#endif
