extension Locker {
  /// How many tasks of this locker wait for a key, alone or among others, or are asking for it.
  package func waiterCount(of key: String) -> Int { coordinator.queues.waiterCount(of: key) }

  /// Ends the leases of a key as lost that are not of the token that holds it now.
  package func loseLeases(of key: String, besides token: String?) {
    for lease in coordinator.extender.leases
    where lease.claim.token != token
      && lease.claim.keys.contains(where: { $0.utf8.elementsEqual(key.utf8) })
    {
      coordinator.extender.lose(lease)
    }
  }
}
