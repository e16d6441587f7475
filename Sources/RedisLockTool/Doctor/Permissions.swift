#if CommandLineTool
  import AsyncRedisLock

  /// The permissions that a user needs, and the server's answers about them.
  struct Permissions: Sendable {
    /// The rules for taking locks.
    static let basic =
      "+set +get +getrange +incr +incrby +del +pexpire +pttl +time +eval +evalsha +select +client|setname"
    /// The further rules for waiting in the server's queue.
    static let queueing =
      "+exists +zadd +zrange +zscore +zrem +hget +hset +hdel +publish +subscribe +pubsub|numsub +ping"

    /// The further rules in a cluster.
    static let clustering = "+asking +cluster|slots +spublish +ssubscribe +pubsub|shardnumsub"

    private let prefix: String
    private let key: String
    /// The prefix of the library's own keys.
    private let ownPrefix: String
    private let isInCluster: Bool
    /// A key of the library's own, for one type of value: if `DEL` is missing, a key of another type would stay.
    private func helper(_ kind: String) -> String { "\(ownPrefix)doctor:\(key):\(kind)" }

    /// Checks with an unused key that begins with a prefix.
    init(key: String, prefix: String, ownPrefix: String, isInCluster: Bool = false) {
      self.isInCluster = isInCluster
      self.key = key
      self.prefix = prefix
      self.ownPrefix = ownPrefix
    }

    private var publish: String { isInCluster ? "SPUBLISH" : "PUBLISH" }

    /// The commands to try, in order, and whether locks can do without them.
    var trials: [(words: [String], isOptional: Bool)] {
      let (counter, queue, entries) = (helper("counter"), helper("queue"), helper("entries"))
      let basic = [
        ["SET", key, "doctor", "NX", "PX", "1000"], ["GET", key], ["GETRANGE", key, "0", "9"],
        ["PTTL", key], ["PEXPIRE", key, "1000"], ["DEL", key],
        // So that it expires even if nothing else works.
        ["SET", counter, "0", "PX", "1000"], ["INCR", counter], ["INCRBY", counter, "1"],
        ["DEL", counter], ["TIME"], ["EVAL", "return 1", "0"],
        // The digest of that script.
        ["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"],
      ]
      let queueing = [
        ["EXISTS", queue], ["ZADD", queue, "1", "a"], ["PEXPIRE", queue, "1000"],
        ["ZSCORE", queue, "a"], ["ZRANGE", queue, "0", "0"], ["ZREM", queue, "a"], ["DEL", queue],
        ["HSET", entries, "a", "1"], ["PEXPIRE", entries, "1000"], ["HGET", entries, "a"],
        ["HDEL", entries, "a"], ["DEL", entries],
        [publish, "\(ownPrefix)inbox:doctor", "hello"],
        ["PUBSUB", isInCluster ? "SHARDNUMSUB" : "NUMSUB", "\(ownPrefix)inbox:doctor"], ["PING"],
      ]
      return basic.map { ($0, false) } + queueing.map { ($0, true) }
    }

    /// The findings from the answers to the trials, and from whether the server notifies of free locks.
    func findings(_ replies: [Reply], isTold: Bool) -> [Finding] {
      var (refusedBasic, refusedQueueing, errors): ([String], [String], [String]) = ([], [], [])
      var unknown: [String] = []
      for (trial, reply) in zip(trials, replies) {
        guard case .error(let error) = reply else { continue }
        if error.message.contains("unknown command") {
          if !unknown.contains(trial.words[0]) { unknown.append(trial.words[0]) }
        } else if error.word == "NOSCRIPT" {
          // If EVAL is refused or unknown, that is reported already.
          continue
        } else if error.word != "NOPERM" {
          errors.append(error.message)
        } else if trial.isOptional {
          if !refusedBasic.contains(trial.words[0]) { refusedQueueing.append(trial.words[0]) }
        } else {
          refusedBasic.append(trial.words[0])
        }
      }
      if !isTold, !refusedQueueing.contains(publish) {
        refusedQueueing.append(isInCluster ? "SSUBSCRIBE" : "SUBSCRIBE")
      }
      var findings: [Finding] = []
      if !unknown.isEmpty {
        findings.append(
          Finding(
            .problem, "disabled",
            "the server does not know \(unknown.joined(separator: ", ")), renamed or disabled: \(Self.loss(of: unknown))"
          ))
      }
      if let error = errors.first { findings.append(Finding(.problem, "commands", error)) }
      if !refusedBasic.isEmpty {
        findings.append(
          Finding(
            .problem, "permissions",
            "this user may not use \(Self.list(refusedBasic)) on \(prefix)* or the library's own keys: \(Self.loss(of: refusedBasic)); it needs: \(rules)"
          ))
      }
      if !refusedQueueing.isEmpty {
        findings.append(
          Finding(
            .warning, "queue",
            "this user may not use \(Self.list(refusedQueueing)), so waiters poll; it needs: \(rules)"
          ))
      }
      if findings.isEmpty {
        findings.append(
          Finding(.fine, "permissions", "all that locks and the queue need"))
      }
      return findings
    }

    private var rules: String {
      "ACL SETUSER <user> ~\(prefix)* ~\(ownPrefix)* \(Self.basic) \(Self.queueing)"
        + "\(isInCluster ? " " + Self.clustering : "") &\(ownPrefix)*"
    }

    /// The loss of function without some commands.
    private static func loss(of commands: [String]) -> String {
      let uses: [(what: String, commands: Set<String>)] = [
        ("no lock can be taken", ["SET", "GET", "GETRANGE", "INCR", "INCRBY", "EVAL", "TIME"]),
        ("none can be extended", ["EVAL", "EVALSHA", "PEXPIRE", "PTTL"]),
        ("none can be released before its ttl", ["EVAL", "EVALSHA", "DEL", "GET"]),
      ]
      let lost = uses.filter { !$0.commands.isDisjoint(with: commands) }.map(\.what)
      return lost.isEmpty
        ? "waiters poll instead of queueing" : lost.joined(separator: ", ")
    }

    private static func list(_ names: [String]) -> String {
      var unique: [String] = []
      for name in names where !unique.contains(name) { unique.append(name) }
      return unique.joined(separator: ", ")
    }
  }
#endif
