extension SimulatedServer {
  /// `refresh.lua`: keeps places of tokens of one locker, each for one key.
  ///
  /// Returns the keys' holders, with nil where only a poll can tell what to do.
  package mutating func refresh(
    _ places: [(key: Int, token: Token, lapse: Int64)], seen: UInt64
  ) -> (counter: UInt64, holders: [Token?]) {
    guard counter >= seen, let first = places.first, hears(first.token) else {
      return (counter, places.map { _ in nil })
    }
    let holders = places.map { keep($0.key, $0.token, lapse: $0.lapse) }
    return (counter, holders)
  }

  /// Keeps a place; returns the holder, or nil if a poll is needed.
  private mutating func keep(_ key: Int, _ token: Token, lapse: Int64) -> Token? {
    guard let value = value(key), value != token, hasQueue(key),
      let index = locks[key].queue.firstIndex(where: { $0.token == token }),
      // A holder that waits in the key's queue has the key reserved, and may lose it again.
      !locks[key].queue.contains(where: { $0.token == value })
    else { return nil }
    locks[key].queue[index].lapse = milliseconds + lapse
    if locks[key].queueExpiry - milliseconds < lapse {
      locks[key].queueExpiry = milliseconds + 2 * lapse
    }
    return value
  }
}
