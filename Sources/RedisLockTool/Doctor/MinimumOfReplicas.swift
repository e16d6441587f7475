#if CommandLineTool
  import AsyncRedisLock

  /// How many replicas a primary needs in order to take writes, and how recently it has to have heard of them.
  struct MinimumOfReplicas: Sendable {
    let count: Int
    let longestLag: Int

    /// The commands that ask for it.
    static let questions = [
      ["CONFIG", "GET", "min-replicas-to-write"], ["CONFIG", "GET", "min-replicas-max-lag"],
    ]

    /// Reads the replies to ``questions``; nil if the server does not say.
    init?(_ replies: some Collection<Reply>) {
      let values = replies.map { reply -> Int? in
        guard case .array(let fields) = reply, fields.count == 2,
          case .string(let value) = fields[1]
        else { return nil }
        return Int(value)
      }
      guard values.count == 2, let count = values[0], let lag = values[1] else { return nil }
      (self.count, longestLag) = (count, lag)
    }

    /// What it means in a failover by sentinels.
    var finding: Finding {
      guard count > 0 else {
        return Finding(
          .warning, "failover",
          "min-replicas-to-write is 0: while sentinels fail over, the old primary goes on granting locks; set it to 1 on all servers"
        )
      }
      let text = "min-replicas-to-write is \(count), min-replicas-max-lag \(longestLag)"
      guard longestLag != 1 else {
        return Finding(
          .warning, "failover", text + ": under load, a healthy primary refuses locks; set it to 10"
        )
      }
      return Finding(.fine, "failover", text)
    }
  }
#endif
