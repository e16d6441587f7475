extension Coordinator {
  /// How many tasks request a key or wait for it, alone or among other keys.
  package func waiterCount(of key: String) -> Int { queues.waiterCount(of: key) }

  /// Ends the leases of a key under a token as lost, maybe to another holder.
  package func loseLeases(of key: String, heldBy token: String, to holder: String?) {
    for lease in extender.leases
    where lease.claim.token == token
      && lease.claim.keys.contains(where: { $0.utf8.elementsEqual(key.utf8) })
    {
      Extender.lose(lease, holder == nil ? .deleted : .takenByAnother, to: holder)
    }
  }
}
