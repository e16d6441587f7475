#if CommandLineTool
  import AsyncRedisLock

  /// A server's information about itself, and its meaning for locks.
  struct ServerInformation: Sendable {
    private var fields: [String: String] = [:]

    /// Reads the answer to `INFO`.
    init(_ text: String) {
      for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
        guard let colon = line.firstIndex(of: ":") else { continue }
        fields[String(line[..<colon])] =
          String(line[line.index(after: colon)...])
          .safeToShow
      }
    }

    /// Reads the answer to `INFO`; nil if that is an error.
    init?(_ reply: Reply) {
      guard case .string(let text) = reply else { return nil }
      self.init(text)
    }

    /// The value of a field.
    subscript(name: String) -> String? { fields[name] }

    /// The replicas of a primary, in its order.
    var replicas: [Replica] {
      var replicas: [Replica] = []
      while let line = fields["slave\(replicas.count)"], let replica = Replica(line) {
        replicas.append(replica)
      }
      return replicas
    }

    /// All findings about the server itself.
    ///
    /// `saves` tells whether it takes snapshots, if that is known, and `acknowledgements` how many replicas confirm each
    /// lock.
    func findings(saves: Bool?, acknowledgements: Int = 0) -> [Finding] {
      [
        version, role(acknowledgements: acknowledgements), eviction, persistence(saves: saves),
      ].compactMap(\.self)
    }

    /// The findings about a server of a quorum, whatever its role and persistence.
    var ownFindings: [Finding] { [version, eviction].compactMap(\.self) }

    private var version: Finding? {
      if let valkey = fields["valkey_version"] {
        return judge("Valkey", valkey, atLeast: (7, 2))
      }
      return fields["redis_version"].flatMap { judge("Redis", $0, atLeast: (6, 2)) }
    }

    private func judge(_ name: String, _ version: String, atLeast least: (Int, Int)) -> Finding? {
      let numbers = version.split(separator: ".").prefix(2).compactMap { Int($0) }
      guard numbers.count == 2 else { return nil }
      guard (numbers[0], numbers[1]) >= least else {
        return Finding(
          .warning, "version",
          "\(name) \(version) is older than \(least.0).\(least.1), which is needed")
      }
      return Finding(.fine, "version", "\(name) \(version)")
    }

    private func role(acknowledgements: Int) -> Finding? {
      guard let role = fields["role"] else { return nil }
      guard role == "master" else {
        let what =
          fields["slave_read_only"] == "0"
          ? "that takes writes, where a lock excludes no client of the primary: set replica-read-only to yes, and"
          : "where nothing can be locked:"
        return Finding(.problem, "role", "this is a replica, \(what) connect to the primary")
      }
      guard let replicas = fields["connected_slaves"].flatMap({ Int($0) }), replicas > 0 else {
        return Finding(.fine, "role", "a primary without replicas")
      }
      let text = "a primary with \(replicas) \(replicas == 1 ? "replica" : "replicas")"
      guard acknowledgements < replicas else {
        return Finding(.fine, "role", text + ", and each lock waits for \(acknowledgements)")
      }
      let what =
        acknowledgements == 0
        ? "a failover may forget a lock that was just taken"
        : "a failover to one that has not confirmed a lock may forget it"
      return Finding(
        .warning, "role",
        "\(text): \(what); set replica_acknowledgements=\(replicas), or check fencing tokens")
    }

    private var eviction: Finding? {
      guard let policy = fields["maxmemory_policy"], let limit = fields["maxmemory"] else {
        return nil
      }
      guard limit != "0" else { return Finding(.fine, "eviction", "none: maxmemory is not set") }
      guard policy == "noeviction" else {
        return Finding(
          .warning, "eviction",
          "maxmemory-policy is \(policy): a full server may evict locks; set it to noeviction"
        )
      }
      return Finding(.fine, "eviction", "noeviction: a full server refuses new locks")
    }

    private func persistence(saves: Bool?) -> Finding? {
      guard let aof = fields["aof_enabled"] else { return nil }
      if aof == "1" { return Finding(.fine, "persistence", "appendonly") }
      switch saves {
      case false?:
        return Finding(
          .warning, "persistence",
          "none: after a restart two may hold the same lock; set appendonly yes, or check fencing tokens"
        )
      case true?:
        return Finding(
          .warning, "persistence",
          "snapshots only: a restart forgets locks that were taken since the last one; set appendonly yes, or check fencing tokens"
        )
      case nil:
        return Finding(
          .warning, "persistence",
          "no appendonly: a restart may forget locks; set appendonly yes, or check fencing tokens")
      }
    }
  }

  extension Reply {
    /// Why the server does not answer `INFO` otherwise, in words.
    var refusalOfInfo: String {
      guard case .error(let error) = self else { return "the server does not answer INFO" }
      guard error.word != "NOPERM" else { return "this user may not use INFO" }
      return "the server refuses INFO (\(error.message))"
    }
  }
#endif
