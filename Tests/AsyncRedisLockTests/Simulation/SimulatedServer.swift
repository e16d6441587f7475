import AsyncRedisLock

/// What the server and the scripts do, in memory and by a clock of the caller's.
///
/// Keys are numbers from 0 on, and so are tokens; ``SimulatedServerTests`` compares it with the scripts.
struct SimulatedServer {
  typealias Token = Int

  /// A place in the queue of a key.
  struct Entry {
    let token: Token
    let ticket: UInt64
    var lapse: Int64
    var ttl: Int64
    var numbers: Int
    /// All keys that are waited for.
    var keys: [Int]
  }

  /// A key and its queue; times are in ms.
  struct Lock {
    var value: Token?
    var expiry: Int64 = 0
    var queue: [Entry] = []
    var queueExpiry: Int64 = 0
  }

  /// What is published to an inbox; the number is 0 for a reservation.
  struct Message {
    let token: Token
    let first: UInt64
    let numbers: Int
    let keys: [Int]
  }

  /// The answer to a poll.
  enum PollAnswer: Equatable {
    case taken(first: UInt64, wasGranted: Bool)
    case wait(counter: UInt64, holder: Token?, remaining: Int64?, isSilent: Bool)
  }

  /// What a release did, see `release.lua`.
  struct Released: Equatable {
    let outcome: Int
    let handed: Int
  }

  var locks: [Lock]
  var counter: UInt64 = 0
  /// How many connections the server takes for those of each locker's inbox.
  var listeners: [Int: Int] = [:]
  /// What was published by the last command.
  var messages: [Message] = []
  /// The time in µs.
  var time: Int64 = 0

  init(keyCount: Int) { locks = Array(repeating: Lock(), count: keyCount) }

  /// The locker whose token it is.
  static func locker(of token: Token) -> Int { token >> 20 }

  private var milliseconds: Int64 { time / 1000 }

  // MARK: Commands

  /// Who holds a key.
  mutating func value(_ key: Int) -> Token? {
    if locks[key].value != nil, milliseconds > locks[key].expiry { locks[key].value = nil }
    return locks[key].value
  }

  /// How long a key lives on, in ms.
  mutating func remaining(_ key: Int) -> Int64? {
    value(key) == nil ? nil : locks[key].expiry - milliseconds
  }

  mutating func set(_ key: Int, _ token: Token, ttl: Int64) {
    locks[key].value = token
    locks[key].expiry = milliseconds + ttl
  }

  mutating func setIfAbsent(_ key: Int, _ token: Token, ttl: Int64) -> Bool {
    guard value(key) == nil else { return false }
    set(key, token, ttl: ttl)
    return true
  }

  /// Draws consecutive fencing tokens; returns the first.
  mutating func draw(_ numbers: Int) -> UInt64 {
    counter += UInt64(numbers)
    return counter - UInt64(numbers) + 1
  }

  /// Whether somebody waits for a key, or has waited not long ago.
  mutating func hasQueue(_ key: Int) -> Bool {
    if milliseconds > locks[key].queueExpiry { locks[key].queue = [] }
    return !locks[key].queue.isEmpty
  }

  // MARK: Scripts

  /// `acquire.lua`; nil when somebody else holds a key, who is told by ``holder(of:besides:)``.
  mutating func acquire(_ keys: [Int], _ token: Token, ttl: Int64, numbers: Int) -> UInt64? {
    guard holder(of: keys, besides: token) == nil else { return nil }
    let first = draw(numbers)
    for key in keys { set(key, token, ttl: ttl) }
    return first
  }

  /// The first of the keys that is another's.
  mutating func holder(of keys: [Int], besides token: Token) -> Int? {
    for key in keys { if let value = value(key), value != token { return key } }
    return nil
  }

  /// `fence.lua`.
  mutating func raise(above seen: UInt64, _ keys: [Int], _ token: Token) -> UInt64? {
    for key in keys where value(key) != token { return nil }
    counter = max(counter, seen, UInt64(time))
    return draw(1)
  }

  /// `extend.lua` for one lock.
  mutating func extend(
    _ keys: [Int], _ token: Token, ttl: Int64, numbers: Int
  ) -> (isOurs: Bool, first: UInt64?) {
    for key in keys where value(key) != token {
      guard Mutant.extensionCreates.isActive, value(key) == nil else { return (false, nil) }
      set(key, token, ttl: ttl)
    }
    for key in keys { prolong(key, ttl, shortens: Mutant.extensionShortens.isActive) }
    return (true, numbers > 0 ? draw(numbers) : nil)
  }

  /// `release.lua`.
  mutating func release(_ keys: [Int], _ token: Token, leaves: Bool) -> Released {
    var outcome = 1
    var free: [Int] = []
    for key in keys {
      let value = value(key)
      if value == token || Mutant.plainDelete.isActive {
        locks[key].value = nil
        free.append(key)
      } else if value != nil {
        outcome = -1
      } else {
        free.append(key)
        outcome = min(outcome, 0)
      }
    }
    if leaves { for key in keys { leave(key, token) } }
    return Released(outcome: outcome, handed: serve(free) ? 1 : 0)
  }

  /// `force-release.lua`.
  mutating func forceRelease(_ key: Int) {
    locks[key].value = nil
    _ = serve([key])
  }

  mutating func leave(_ key: Int, _ token: Token) {
    locks[key].queue.removeAll { $0.token == token }
  }

  mutating func prolong(_ key: Int, _ ttl: Int64, shortens: Bool = false) {
    let expiry = milliseconds + ttl
    if shortens || locks[key].expiry < expiry { locks[key].expiry = expiry }
  }

  // MARK: Handing on

  private mutating func serve(_ keys: [Int]) -> Bool {
    var isHanded = false
    for (index, key) in keys.enumerated() where index == 0 || value(key) == nil {
      if hand(key, caller: nil) { isHanded = true }
    }
    return isHanded
  }

  mutating func hand(_ key: Int, caller: Token?) -> Bool {
    var passed = 0
    for _ in 0..<100 {
      guard hasQueue(key), passed < locks[key].queue.count else { return false }
      let entry = locks[key].queue[passed]
      if entry.lapse < milliseconds {
        locks[key].queue.remove(at: passed)
      } else if give(key, entry, isCaller: entry.token == caller) {
        return true
      } else {
        passed += 1
      }
    }
    guard let entry = locks[key].queue.first(where: { $0.token == caller }) else { return false }
    return give(key, entry, isCaller: true)
  }

  private mutating func give(_ key: Int, _ entry: Entry, isCaller: Bool) -> Bool {
    if entry.keys.count > 1 { return reserve(key, entry, isCaller: isCaller) }
    let first = isCaller ? 0 : draw(entry.numbers)
    set(key, entry.token, ttl: entry.ttl)
    if isCaller { return true }
    if tell(entry, first) {
      leave(key, entry.token)
      return true
    }
    locks[key].value = nil
    return false
  }

  private mutating func reserve(_ key: Int, _ entry: Entry, isCaller: Bool) -> Bool {
    let token = entry.token
    let life = max(min(entry.lapse - milliseconds, entry.ttl), 1)
    var taken = [key]
    var isComplete = true
    set(key, token, ttl: life)
    for other in entry.keys {
      let value = value(other)
      if value == nil, hasQueue(other), locks[other].queue[0].token == token {
        set(other, token, ttl: life)
        taken.append(other)
      } else if value != token {
        isComplete = false
      }
    }
    if isCaller { return true }
    if isComplete {
      if tell(entry, draw(entry.numbers)) {
        for one in entry.keys {
          set(one, token, ttl: entry.ttl)
          leave(one, token)
        }
        return true
      }
    } else if tell(entry, 0) {
      return true
    }
    for one in taken { locks[one].value = nil }
    return false
  }

  private mutating func tell(_ entry: Entry, _ first: UInt64) -> Bool {
    guard listeners[Self.locker(of: entry.token), default: 0] > 0 else { return false }
    messages.append(
      Message(
        token: entry.token, first: first, numbers: first == 0 ? 0 : entry.numbers,
        keys: entry.keys))
    return true
  }

  // MARK: Polling

  /// `poll.lua`.
  mutating func poll(
    _ keys: [Int], _ token: Token, ttl: Int64, lapse: Int64, numbers: Int, seen: UInt64,
    raises: Bool
  ) -> PollAnswer {
    func drawAbove(_ server: inout Self) -> UInt64 {
      let first = server.draw(numbers)
      return server.raise(from: first - 1, seen, raises) >= first ? server.draw(numbers) : first
    }
    func take(_ server: inout Self, wasGranted: Bool) -> PollAnswer {
      for key in keys {
        server.prolong(key, ttl)
        server.leave(key, token)
      }
      return .taken(first: drawAbove(&server), wasGranted: wasGranted)
    }
    if keys.allSatisfy({ value($0) == token }) { return take(&self, wasGranted: true) }
    if keys.allSatisfy({ value($0) == nil && !hasQueue($0) }) {
      let first = drawAbove(&self)
      for key in keys { set(key, token, ttl: ttl) }
      return .taken(first: first, wasGranted: false)
    }
    let ticket = enter(keys, token, ttl: ttl, lapse: lapse, numbers: numbers)
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
      remaining: missing.remaining, isSilent: missing.isSilent)
  }

  /// Raises a counter that was or may have been lost; returns what it is then.
  private mutating func raise(from counter: UInt64, _ seen: UInt64, _ raises: Bool) -> UInt64 {
    guard counter < seen || raises else { return counter }
    let floor = max(seen, UInt64(time))
    guard floor > counter else { return counter }
    self.counter = floor
    return floor
  }

  /// Makes sure of a token's places; returns its ticket.
  private mutating func enter(
    _ keys: [Int], _ token: Token, ttl: Int64, lapse: Int64, numbers: Int
  ) -> UInt64 {
    var tickets: Set<UInt64?> = []
    for key in keys {
      tickets.insert(
        hasQueue(key) ? locks[key].queue.first { $0.token == token }?.ticket : nil)
    }
    let former = tickets.count == 1 ? tickets.first ?? nil : nil
    let ticket = former ?? draw(1)
    for key in keys {
      let entry = Entry(
        token: token, ticket: ticket, lapse: milliseconds + lapse, ttl: ttl, numbers: numbers,
        keys: keys)
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
