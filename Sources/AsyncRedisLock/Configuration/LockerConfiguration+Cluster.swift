extension LockerConfiguration {
  /// Why the configuration does not fit a cluster; nil if it does.
  var objectionOfCluster: String? {
    if replicaAcknowledgements > 0 {
      return "replicaAcknowledgements cannot be used with a cluster yet"
    }
    return nil
  }

  /// Checks what a cluster does not allow.
  func validateForCluster(_ code: LockError.Code) throws(LockError) {
    guard case .cluster = address.kind, let objection = objectionOfCluster else { return }
    throw LockError(code, objection)
  }
}

extension LockerConfiguration.Address {
  private static let mostNodes = 100

  /// Checks the nodes of a cluster, none of which is quoted, as with a host.
  static func validate(_ nodes: [Node], _ code: LockError.Code) throws(LockError) {
    guard (1...mostNodes).contains(nodes.count) else {
      throw LockError(code, "nodes must be from 1 to \(mostNodes) addresses, not \(nodes.count)")
    }
    for node in nodes { try node.address.validate(code) }
    guard Set(nodes).count == nodes.count else {
      throw LockError(code, "nodes must differ: the address of one is there twice")
    }
  }
}

extension RedisURL {
  /// The nodes of a cluster that the authority lists.
  var clusterAddress: LockerConfiguration.Address {
    get throws(LockError) {
      .cluster(
        try hosts().map { host, port in
          port.map { .init(host: host, port: $0) } ?? .init(host: host)
        })
    }
  }

  /// The hosts that the authority lists, with their ports if they have any.
  func hosts() throws(LockError) -> [(host: String, port: UInt16?)] {
    var hosts: [(host: String, port: UInt16?)] = []
    for part in hostAndPort.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      hosts.append(try Self.hostAndPort(part))
    }
    return hosts
  }
}
