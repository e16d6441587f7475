extension Locker {
  /// How many tasks of this locker request a key or wait for it, alone or among other keys.
  package func waiterCount(of key: String) -> Int { coordinator.waiterCount(of: key) }
}
