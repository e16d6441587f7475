import ChaosLog
import PrivateRedis

extension Nemesis {
  /// The slot of all keys, which have the same hash tag.
  private func slot(in cluster: PrivateCluster) throws -> Int {
    try cluster.slot(of: profile.keyPrefix)
  }

  /// Moves the slot of all keys to another master; false while there is none.
  func moveSlot() throws -> Bool {
    guard case .cluster(let cluster) = stage else { return false }
    let slot = try slot(in: cluster)
    let masters = try cluster.servers.indices.filter { try role(of: $0, in: cluster) == "master" }
    guard let source = cluster.servers.firstIndex(where: { $0 === server }),
      let target = masters.filter({ $0 != source }).randomElement(using: &generator)
    else { return false }
    let start = LogClock.now
    try cluster.move(slot, from: source, to: target)
    turn(to: cluster.servers[target])
    log.note(Episode(.outage, from: start, to: LogClock.now))
    return true
  }

  /// Makes the replica of the master that has all keys take over, without losing a write; false while it is not in
  /// step.
  func swapMasters(of cluster: PrivateCluster) throws -> Bool {
    guard let old = cluster.servers.firstIndex(where: { $0 === server }) else { return false }
    let id = cluster.ids[old]
    let replicas = try cluster.nodes(accordingTo: old).filter { $0[3] == id }
    guard
      let replica = cluster.servers.indices.first(where: { number in
        replicas.contains { $0[0] == cluster.ids[number] }
      }),
      try cluster.client(replica)("ROLE").array?[3].string == "connected"
    else { return false }
    let start = LogClock.now
    do { try cluster.client(replica)("CLUSTER", "FAILOVER") } catch RedisError.server {
      return false
    }
    try wait("the replica to take over") {
      try role(of: replica, in: cluster) == "master" && role(of: old, in: cluster) == "slave"
    }
    turn(to: cluster.servers[replica])
    log.note(Episode(.outage, from: start, to: LogClock.now))
    return true
  }

  /// Waits until a node of a cluster serves its slots again, which takes seconds after it has started.
  func waitUntilServed() throws {
    guard case .cluster = stage else { return }
    try wait("the cluster to serve all slots") {
      try client("CLUSTER", "INFO").string?.contains("cluster_state:ok") == true
    }
  }

  private func role(of number: Int, in cluster: PrivateCluster) throws -> String? {
    try cluster.client(number)("ROLE").array?.first?.string
  }
}
