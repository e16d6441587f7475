extension LockerConfiguration {
  /// How many servers a quorum may have.
  private static let quorumSizes = 3...9

  /// Checks the servers of a quorum, none of which is quoted, as with a host.
  ///
  /// - Throws: ``LockError/Code/invalidOptions``, naming the value and the rule.
  static func validate(quorum servers: [Self], restartDelay: Duration) throws(LockError) {
    guard quorumSizes.contains(servers.count), !servers.count.isMultiple(of: 2) else {
      throw LockError(
        .invalidOptions,
        "quorum must have an odd number of servers from \(quorumSizes.lowerBound) to "
          + "\(quorumSizes.upperBound), not \(servers.count)")
    }
    try restartDelay.validate(as: "restartDelay", atLeast: .zero)
    for (index, server) in servers.enumerated() {
      let name = "server \(index + 1) of the quorum"
      do throws(LockError) { try server.validate() } catch { throw error.naming(name) }
      switch server.address.kind {
      case .tcp, .unixSocket: break
      case .sentinels, .cluster:
        throw LockError(
          .invalidOptions, "\(name) must be a server, and neither sentinels nor a cluster")
      }
      guard server.replicaAcknowledgements == 0 else {
        throw LockError(
          .invalidOptions,
          "replicaAcknowledgements (\(server.replicaAcknowledgements)) of \(name) must be 0")
      }
      if let other = servers[..<index].firstIndex(where: { $0.address.isSame(as: server.address) })
      {
        throw LockError(
          .invalidOptions, "\(name) must not have the address of server \(other + 1)")
      }
      if let property = server.firstDifference(from: servers[0]) {
        throw LockError(
          .invalidOptions, "\(property) of \(name) must be the same as that of server 1")
      }
    }
    try servers[0].lockOptions.validate(longestTTL: restartDelay > .zero ? restartDelay : nil)
  }

  /// The first property that differs though it must be the same for all servers of a quorum; nil if there is none.
  private func firstDifference(from other: Self) -> String? {
    let properties: [(name: String, isSame: Bool)] = [
      ("database", database == other.database),
      ("clientName", clientName == other.clientName),
      ("connectTimeout", connectTimeout == other.connectTimeout),
      ("operationTimeout", operationTimeout == other.operationTimeout),
      ("keyPrefix", keyPrefix.utf8.elementsEqual(other.keyPrefix.utf8)),
      ("isFencingEnabled", isFencingEnabled == other.isFencingEnabled),
      ("maxWaiters", maxWaiters == other.maxWaiters),
      ("localHandoffLimit", localHandoffLimit == other.localHandoffLimit),
      ("label", label == other.label),
      ("lockOptions", lockOptions == other.lockOptions),
    ]
    return properties.first { !$0.isSame }?.name
  }

  /// Reads the URLs of the servers of a quorum.
  ///
  /// - Throws: As ``init(url:)``, naming the server by its place.
  static func servers(_ urls: [String]) throws(LockError) -> [Self] {
    var servers: [Self] = []
    for (index, url) in urls.enumerated() {
      do throws(LockError) {
        servers.append(try Self(url: url))
      } catch {
        throw error.naming("server \(index + 1) of the quorum")
      }
    }
    return servers
  }
}

extension LockerConfiguration.Address {
  /// Whether two addresses are written the same, besides the case of a host name.
  fileprivate func isSame(as other: Self) -> Bool {
    switch (kind, other.kind) {
    case (.tcp(let host, let port), .tcp(let otherHost, let otherPort)):
      host.lowercased() == otherHost.lowercased() && port == otherPort
    default: self == other
    }
  }
}

extension LockError {
  /// The same error about one of several servers.
  fileprivate func naming(_ server: String) -> Self {
    Self(code, "\(server): \(message)", keys: keys, phase: phase)
  }
}
