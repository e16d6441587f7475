extension SimulatedServer {
  /// `poll.lua`.
  package mutating func poll(
    _ keys: [Int], _ token: Token, ttl: Int64, lapse: Int64, numbers: Int, seen: UInt64,
    raises: Bool, reservation: Int64? = nil
  ) -> PollAnswer {
    func drawAbove(_ server: inout Self) -> UInt64 {
      _ = server.raise(from: server.counter, seen, raises)
      return server.draw(numbers)
    }
    func take(_ server: inout Self, wasGranted: Bool) -> PollAnswer {
      for key in keys {
        server.prolong(key, ttl)
        server.leave(key, token)
      }
      return .taken(first: drawAbove(&server), wasGranted: wasGranted)
    }
    if keys.allSatisfy({ value($0) == token }) {
      let isReserved = hasQueue(keys[0]) && locks[keys[0]].queue.contains { $0.token == token }
      return take(&self, wasGranted: !isReserved)
    }
    if keys.allSatisfy({ value($0) == nil && !hasQueue($0) }) {
      let first = drawAbove(&self)
      for key in keys { set(key, token, ttl: ttl) }
      return .taken(first: first, wasGranted: false)
    }
    let ticket = enter(
      keys, token, ttl: ttl, lapse: lapse, numbers: numbers,
      reservation: hears(token) ? nil : reservation)
    for key in keys {
      if let value = value(key), value != token, hasQueue(key),
        let other = locks[key].queue.first(where: { $0.token == value }), other.ticket > ticket
      {
        locks[key].value = nil
      }
      if value(key) == nil {
        _ = hand(key, caller: token)
      } else if value(key) == token {
        prolong(key, min(ttl, lapse))
      }
    }
    var missing: (holder: Token?, remaining: Int64?, isSilent: Bool)?
    for key in keys {
      let value = value(key)
      guard value != token else { continue }
      let remaining = remaining(key)
      if let former = missing {
        missing?.remaining = former.remaining.map { min($0, remaining ?? $0) } ?? remaining
        missing?.isSilent = former.isSilent || value == nil
      } else {
        missing = (value, remaining, value == nil)
      }
    }
    guard let missing else { return take(&self, wasGranted: false) }
    return .wait(
      counter: raise(from: counter, seen, raises), holder: missing.holder,
      remaining: missing.remaining, isSilent: missing.isSilent, isHeard: hears(token))
  }

  /// Raises a counter that was or may have been lost; returns its value after that.
  private mutating func raise(from counter: UInt64, _ seen: UInt64, _ raises: Bool) -> UInt64 {
    guard counter < seen || raises else { return counter }
    let floor = max(seen, UInt64(time))
    guard floor > counter else { return counter }
    self.counter = floor
    return floor
  }

  /// Draws a ticket above those of all that wait for some keys.
  private mutating func newTicket(_ keys: [Int]) -> UInt64 {
    let highest = keys.compactMap { hasQueue($0) ? locks[$0].queue.last?.ticket : nil }.max() ?? 0
    if counter < highest { counter = max(highest, UInt64(time)) }
    return draw(1)
  }

  /// Makes sure that a token has its places; returns its ticket.
  private mutating func enter(
    _ keys: [Int], _ token: Token, ttl: Int64, lapse: Int64, numbers: Int, reservation: Int64?
  ) -> UInt64 {
    var tickets: Set<UInt64?> = []
    for key in keys {
      tickets.insert(
        hasQueue(key) ? locks[key].queue.first { $0.token == token }?.ticket : nil)
    }
    let former = tickets.count == 1 ? tickets.first ?? nil : nil
    let ticket = former ?? newTicket(keys)
    for key in keys {
      let former = locks[key].queue.first { $0.token == token }
      let entry = Entry(
        token: token, ticket: ticket, lapse: milliseconds + lapse, ttl: ttl, numbers: numbers,
        reservation: reservation ?? former?.reservation, keys: keys)
      leave(key, token)
      let position = locks[key].queue.firstIndex { $0.ticket > ticket } ?? locks[key].queue.count
      locks[key].queue.insert(entry, at: position)
      if locks[key].queueExpiry - milliseconds < lapse {
        locks[key].queueExpiry = milliseconds + 2 * lapse
      }
    }
    return ticket
  }
}
