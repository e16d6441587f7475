/// What a server says about itself in its answer to `HELLO`.
struct ServerIdentity: Equatable {
  /// Whether it is a sentinel.
  let isSentinel: Bool
  /// Whether it is a node of a cluster.
  let isCluster: Bool
  /// `master` or `replica`.
  let role: String?

  /// Whether it is a replica outside of a cluster, where a replica leads its clients to the master.
  var isLoneReplica: Bool { role == "replica" && !isCluster && !isSentinel }

  /// Reads the names and values of the answer.
  init(_ fields: [Reply]) {
    var values: [String: String] = [:]
    var rest = fields[...]
    while let name = rest.popFirst(), let value = rest.popFirst() {
      if case .string(let name) = name, case .string(let value) = value { values[name] = value }
    }
    isSentinel = values["mode"] == "sentinel"
    isCluster = values["mode"] == "cluster"
    role = values["role"]
  }
}
