internal import AsyncRedisLock

/// The server and the scripts, in memory and by a clock of the caller's.
///
/// Keys are numbers from 0 on, and so are tokens; ``SimulatedServerTests`` compares the results with the scripts.
package struct SimulatedServer {
  package typealias Token = Int

  /// A place in the queue of a key.
  package struct Entry {
    package let token: Token
    package let ticket: UInt64
    package var lapse: Int64
    package var ttl: Int64
    package var numbers: Int
    /// For how long a key is reserved for a waiter that no notice has reached for long.
    package var reservation: Int64?
    /// All keys that the token waits for.
    package var keys: [Int]
  }

  /// A key and its queue; times are in ms.
  package struct Lock {
    package var value: Token?
    package var expiry: Int64 = 0
    package var queue: [Entry] = []
    package var queueExpiry: Int64 = 0

    package init() {}
  }

  /// A message published to an inbox.
  package struct Message {
    package let token: Token
    package let first: UInt64
    package let numbers: Int
    package let keys: [Int]
  }

  /// The answer to a poll.
  package enum PollAnswer: Equatable {
    case taken(first: UInt64, wasGranted: Bool)
    case wait(counter: UInt64, holder: Token?, remaining: Int64?, isSilent: Bool, isHeard: Bool)
  }

  /// The outcome of a release, see `release.lua`.
  package struct Released: Equatable {
    package let outcome: Int
    package let handed: Int
    /// The value of the first key that another holder has.
    package let other: Token?

    package init(outcome: Int, handed: Int, other: Token? = nil) {
      self.outcome = outcome
      self.handed = handed
      self.other = other
    }
  }

  package var locks: [Lock]
  package var counter: UInt64 = 0
  /// How many connections the server counts as listening to each locker's inbox.
  package var listeners: [Int: Int] = [:]
  /// The messages published by the last command.
  package var messages: [Message] = []
  /// The time in µs.
  package var time: Int64 = 0

  package init(keyCount: Int) { locks = Array(repeating: Lock(), count: keyCount) }

  /// The locker that a token belongs to.
  package static func locker(of token: Token) -> Int { token >> 32 }

  /// A token of a locker.
  package static func token(_ number: Int, of locker: Int) -> Token { locker << 32 + number }

  var milliseconds: Int64 { time / 1000 }

  // MARK: Commands

  /// The token that holds a key.
  package mutating func value(_ key: Int) -> Token? {
    if locks[key].value != nil, milliseconds > locks[key].expiry { locks[key].value = nil }
    return locks[key].value
  }

  /// How long a key lives on, in ms.
  package mutating func remaining(_ key: Int) -> Int64? {
    value(key) == nil ? nil : locks[key].expiry - milliseconds
  }

  package mutating func set(_ key: Int, _ token: Token, ttl: Int64) {
    locks[key].value = token
    locks[key].expiry = milliseconds + ttl
  }

  package mutating func setIfAbsent(_ key: Int, _ token: Token, ttl: Int64) -> Bool {
    guard value(key) == nil else { return false }
    set(key, token, ttl: ttl)
    return true
  }

  /// Draws consecutive fencing tokens; returns the first.
  package mutating func draw(_ numbers: Int) -> UInt64 {
    counter += UInt64(numbers)
    return counter - UInt64(numbers) + 1
  }

  /// Whether a waiter is in the queue of a key, or was not long ago.
  package mutating func hasQueue(_ key: Int) -> Bool {
    if milliseconds > locks[key].queueExpiry { locks[key].queue = [] }
    return !locks[key].queue.isEmpty
  }

  // MARK: Scripts

  /// `acquire.lua`; nil if another holder has a key, see ``holder(of:besides:)``.
  package mutating func acquire(_ keys: [Int], _ token: Token, ttl: Int64, numbers: Int) -> UInt64?
  {
    guard holder(of: keys, besides: token) == nil else { return nil }
    let first = draw(numbers)
    for key in keys { set(key, token, ttl: ttl) }
    return first
  }

  /// The first of the keys that another holder has.
  package mutating func holder(of keys: [Int], besides token: Token) -> Int? {
    for key in keys { if let value = value(key), value != token { return key } }
    return nil
  }

  /// `fence.lua`.
  package mutating func raise(above seen: UInt64, _ keys: [Int], _ token: Token) -> UInt64? {
    for key in keys where value(key) != token { return nil }
    counter = max(counter, seen, UInt64(time))
    return draw(1)
  }

  /// The answer of `extend.lua` about one lock.
  package enum Extended: Equatable {
    /// All keys were the token's; with the first drawn number, if any.
    case ours(first: UInt64?)
    case deleted
    /// A key belongs to another holder; with the value of the first such key.
    case taken(by: Token)
  }

  /// `extend.lua` for one lock.
  package mutating func extend(
    _ keys: [Int], _ token: Token, ttl: Int64, numbers: Int
  ) -> Extended {
    if let other = holder(of: keys, besides: token).flatMap({ value($0) }) {
      return .taken(by: other)
    }
    for key in keys where value(key) != token { return .deleted }
    for key in keys { prolong(key, ttl) }
    return .ours(first: numbers > 0 ? draw(numbers) : nil)
  }

  /// `release.lua`.
  package mutating func release(_ keys: [Int], _ token: Token, leaves: Bool) -> Released {
    var outcome = 1
    var other: Token?
    var free: [Int] = []
    for key in keys {
      let value = value(key)
      if value == token {
        locks[key].value = nil
        free.append(key)
      } else if let value {
        outcome = -1
        other = other ?? value
      } else {
        free.append(key)
        outcome = min(outcome, 0)
      }
    }
    if leaves { for key in keys { leave(key, token) } }
    return Released(outcome: outcome, handed: serve(free), other: other)
  }

  /// One release of `release-group.lua`; returns whether it was done.
  package mutating func releaseAlone(_ key: Int, _ token: Token) -> Bool {
    guard value(key) == token, !hasQueue(key) else { return false }
    locks[key].value = nil
    return true
  }

  /// `force-release.lua`.
  package mutating func forceRelease(_ key: Int) {
    locks[key].value = nil
    _ = serve([key])
  }

  /// `adopt.lua`; nil if another holder has a key, see ``holder(of:besides:)``.
  package mutating func adopt(
    _ keys: [Int], from former: Token, _ token: Token, ttl: Int64, numbers: Int
  ) -> UInt64? {
    for key in keys {
      guard let value = value(key), [former, token].contains(value) else { return nil }
    }
    let first = draw(numbers)
    for key in keys {
      set(key, token, ttl: max(ttl, value(key) == token ? remaining(key) ?? 0 : 0))
    }
    return first
  }

  /// `keep.lua`.
  package mutating func keep(_ keys: [Int], _ token: Token, for time: Int64) -> Released {
    var outcome = 1
    var other: Token?
    for key in keys {
      let value = value(key)
      if value == token {
        locks[key].expiry = milliseconds + time
      } else {
        outcome = value == nil ? min(outcome, 0) : -1
        other = other ?? value
      }
    }
    return Released(outcome: outcome, handed: 0, other: other)
  }

  /// The waiters for a key, by `inspect.lua`.
  package mutating func waiters(_ key: Int) -> [Token] {
    guard hasQueue(key), let holder = value(key) else { return [] }
    let now = milliseconds
    return locks[key].queue.filter { $0.token != holder && $0.lapse >= now }.map(\.token)
  }

  package mutating func leave(_ key: Int, _ token: Token) {
    locks[key].queue.removeAll { $0.token == token }
  }

  package mutating func prolong(_ key: Int, _ ttl: Int64) {
    let expiry = milliseconds + ttl
    if locks[key].expiry < expiry { locks[key].expiry = expiry }
  }

  // MARK: Handing on

  private mutating func serve(_ keys: [Int]) -> Int {
    var isHanded = false
    let former = messages.count
    for (index, key) in keys.enumerated() where index == 0 || value(key) == nil {
      if hand(key, caller: nil) { isHanded = true }
    }
    return !isHanded ? 0 : messages.count > former ? 1 : 2
  }

  package mutating func hand(_ key: Int, caller: Token?) -> Bool {
    var passed = 0
    var unheard: [Entry] = []
    for _ in 0..<100 {
      guard hasQueue(key), passed < locks[key].queue.count else { return false }
      let entry = locks[key].queue[passed]
      if entry.lapse < milliseconds {
        locks[key].queue.remove(at: passed)
      } else if entry.token == caller {
        return give(key, entry, isCaller: true)
      } else if !hears(entry.token) {
        unheard.append(entry)
        passed += 1
      } else {
        return unheard.contains { reserveUnheard(key, $0) } || give(key, entry, isCaller: false)

      }
    }
    guard let entry = locks[key].queue.first(where: { $0.token == caller }) else { return false }
    return give(key, entry, isCaller: true)
  }

  private mutating func give(_ key: Int, _ entry: Entry, isCaller: Bool) -> Bool {
    if entry.keys.count > 1 { return reserve(key, entry, isCaller: isCaller) }
    set(key, entry.token, ttl: entry.ttl)
    if isCaller { return true }
    tell(entry)
    leave(key, entry.token)
    return true
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
    if !isCaller, isComplete {
      tell(entry)
      for one in entry.keys {
        set(one, token, ttl: entry.ttl)
        leave(one, token)
      }
    }
    return true
  }

  /// Reserves a key for a waiter that was passed over, once after each poll that asks for that.
  private mutating func reserveUnheard(_ key: Int, _ entry: Entry) -> Bool {
    guard let reservation = entry.reservation,
      let index = locks[key].queue.firstIndex(where: { $0.token == entry.token })
    else { return false }
    locks[key].queue[index].reservation = nil
    set(key, entry.token, ttl: max(min(reservation, entry.lapse - milliseconds, entry.ttl), 1))
    return true
  }

  /// Whether the server has a waiter's inbox.
  func hears(_ token: Token) -> Bool { listeners[Self.locker(of: token), default: 0] > 0 }

  private mutating func tell(_ entry: Entry) {
    if counter < entry.ticket { counter = max(entry.ticket, UInt64(time)) }
    messages.append(
      Message(
        token: entry.token, first: draw(entry.numbers), numbers: entry.numbers, keys: entry.keys))
  }
}
