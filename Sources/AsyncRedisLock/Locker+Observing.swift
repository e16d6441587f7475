extension Locker {
  /// How many tasks of this locker wait for a key, alone or among others, or are asking for it.
  package func waiterCount(of key: String) -> Int { coordinator.waiterCount(of: key) }
}
