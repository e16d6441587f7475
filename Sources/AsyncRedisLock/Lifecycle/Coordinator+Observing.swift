extension Coordinator {
  /// How many tasks wait for a key, alone or among others, or are asking for it.
  package func waiterCount(of key: String) -> Int { queues.waiterCount(of: key) }

  /// Ends the leases of a key as lost that are of a token, maybe to another holder.
  package func loseLeases(of key: String, heldBy token: String, to holder: String?) {
    for lease in extender.leases
    where lease.claim.token == token
      && lease.claim.keys.contains(where: { $0.utf8.elementsEqual(key.utf8) })
    {
      Extender.lose(lease, holder == nil ? .deleted : .takenByAnother, to: holder)
    }
  }
}
