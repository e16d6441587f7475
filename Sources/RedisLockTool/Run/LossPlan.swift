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
    /// When a command that was asked to end has had its time.
    private var killAt: ContinuousClock.Instant?

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
    mutating func next(
      remaining: Duration, isGone: Bool, at now: ContinuousClock.Instant
    ) -> Action {
      guard !isGone, remaining > reserve else { return .kill }
      if let killAt {
        // The lock may have been extended after all; the command has been told otherwise.
        guard now < killAt else { return .kill }
        return .wait(min(remaining - reserve, now.duration(to: killAt), Self.longestWait))
      }
      guard remaining <= margin else { return .wait(min(remaining - margin, Self.longestWait)) }
      killAt = now + (margin - reserve)
      return .terminate(min(remaining - reserve, Self.longestWait))
    }
  }
#endif
