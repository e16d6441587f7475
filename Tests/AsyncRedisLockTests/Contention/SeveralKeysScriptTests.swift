import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("The scripts for several keys", .timeLimit(.minutes(2)), .redisServer())
struct SeveralKeysScriptTests {
  private let scripts = QueueScripts()
  private var client: RedisClient { scripts.client }

  @Test("The scripts reserve each of several keys as it becomes free, and grant all with the last")
  func reserve() throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let (one, two, both) = (
      QueueScripts.token("one"), QueueScripts.token("two"), QueueScripts.token("both")
    )
    let listener = try scripts.listen(as: both)
    #expect(try scripts.poll(one, a).isGranted && scripts.poll(two, b).isGranted)
    #expect(try scripts.poll(both, a, b, ttl: 7000, numbers: 2).holder == one)
    #expect(try scripts.score(both, a) == scripts.score(both, b))
    #expect(try scripts.release(one, a).handed == 2)
    #expect(try scripts.holder(a) == both && scripts.holder(b) == two)
    #expect(try scripts.queue(a) == [both] && scripts.queue(b) == [both])
    guard
      case .wait(let counter, two, _, isSilent: false, _) =
        try scripts.poll(both, a, b, ttl: 7000, numbers: 2)
    else {
      Issue.record("the second key is still held")
      return
    }
    try client("PEXPIRE", a, "1000")
    #expect(try scripts.release(two, b) == .init(outcome: 1, handed: 1))
    for key in [a, b] {
      #expect(try scripts.holder(key) == both)
      #expect(try scripts.queue(key).isEmpty)
      #expect(try scripts.entry(both, key) == nil)
      #expect(try #require(try client("PTTL", key).integer) > 5000)
    }
    let keys = "\(a.utf8.count):\(a)\(b.utf8.count):\(b)"
    while listener.messages.isEmpty { try client("PING") }
    #expect(listener.messages == ["\(counter + 1) 2 \(both) \(keys)"])
    #expect(try scripts.release(both, a, b) == .init(outcome: 1, handed: 0))
    #expect(try client("EXISTS", a, b).integer == 0)
  }

  @Test("The scripts do not reserve keys for a waiter that does not listen")
  func deaf() throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let tokens = (0..<4).map { QueueScripts.token("t\($0)") }
    let listener = try scripts.listen(as: tokens[3])
    #expect(try scripts.poll(tokens[0], a).isGranted && scripts.poll(tokens[1], b).isGranted)
    #expect(try !scripts.poll(tokens[2], a, b).isGranted)
    #expect(try !scripts.poll(tokens[3], a).isGranted)
    #expect(try scripts.release(tokens[0], a).handed == 1)
    #expect(try scripts.holder(a) == tokens[3])
    #expect(try scripts.queue(a) == [tokens[2]] && scripts.queue(b) == [tokens[2]])
    _ = listener
  }

  @Test("The scripts respect a grant of several keys that a poll makes along the way")
  func grantOnTheWay() throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let (holder, first, second) = (
      QueueScripts.token("holder"), QueueScripts.token("first"), QueueScripts.token("second")
    )
    let listener = try scripts.listen(as: first)
    #expect(try scripts.poll(holder, a, b).isGranted)
    #expect(try !scripts.poll(first, a, b).isGranted)
    #expect(try !scripts.poll(second, a, b).isGranted)
    // Both keys expire at once, and the second waiter polls.
    try client("DEL", a, b)
    #expect(try scripts.poll(second, a, b).holder == first)
    for key in [a, b] {
      #expect(try scripts.holder(key) == first)
      #expect(try scripts.queue(key) == [second])
    }
    while listener.messages.isEmpty { try client("PING") }
    #expect(listener.messages.count == 1)
  }

  @Test("The scripts refresh a reservation by polls, and undo it by a clean-up")
  func undo() throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let tokens = (0..<3).map { QueueScripts.token("t\($0)") }
    let listener = try scripts.listen(as: tokens[2])
    #expect(try scripts.poll(tokens[0], b).isGranted)
    // The free key is reserved at once.
    #expect(try scripts.poll(tokens[1], a, b, ttl: 9000).holder == tokens[0])
    #expect(try scripts.holder(a) == tokens[1])
    try client("PEXPIRE", a, "1000")
    #expect(try !scripts.poll(tokens[1], a, b, ttl: 9000).isGranted)
    #expect(try #require(try client("PTTL", a).integer) > 7000)
    #expect(try scripts.poll(tokens[2], a).holder == tokens[1])
    #expect(try scripts.release(tokens[1], a, b, leaves: true) == .init(outcome: -1, handed: 1))
    #expect(try scripts.holder(a) == tokens[2] && scripts.holder(b) == tokens[0])
    #expect(try scripts.queue(a).isEmpty && scripts.queue(b).isEmpty)
    #expect(try scripts.entry(tokens[1], b) == nil)
    _ = listener
  }

  @Test("The scripts revoke a reservation for an earlier ticket, but never a held lock")
  func takeBack() throws {
    let (a, b, c) = (uniqueKey("a"), uniqueKey("b"), uniqueKey("c"))
    let tokens = (0..<5).map { QueueScripts.token("t\($0)") }
    #expect(try scripts.poll(tokens[0], a, b, c).isGranted)
    #expect(try !scripts.poll(tokens[1], a, b).isGranted)
    let later = try scripts.listen(as: tokens[2])
    #expect(try !scripts.poll(tokens[2], b, c).isGranted)
    // The first waiter does not listen, so one key is reserved for the second, which lacks the other.
    try client("SET", a, "theirs")
    try client("SET", c, "theirs")
    #expect(try scripts.release(tokens[0], b).handed == 2)
    #expect(try scripts.holder(b) == tokens[2])
    // A later ticket leaves the reservation alone; an earlier one takes it.
    #expect(try scripts.poll(tokens[3], b).holder == tokens[2])
    #expect(try scripts.holder(b) == tokens[2])
    #expect(try scripts.poll(tokens[1], a, b).holder == "theirs")
    #expect(try scripts.holder(b) == tokens[1])
    #expect(try scripts.poll(tokens[2], b, c).holder == tokens[1])
    #expect(try scripts.holder(b) == tokens[1])
    try client("DEL", a)
    #expect(try scripts.poll(tokens[1], a, b).isGranted)
    // The token is a holder now, so tickets no longer count.
    #expect(try !scripts.poll(tokens[2], b, c).isGranted)
    #expect(try scripts.holder(a) == tokens[1] && scripts.holder(b) == tokens[1])
    try client("DEL", c)
    #expect(try scripts.release(tokens[1], a, b).handed == 1)
    #expect(try scripts.holder(b) == tokens[2] && scripts.holder(c) == tokens[2])
    while later.messages.isEmpty { try client("PING") }
    #expect(later.messages.count == 1)
  }

  @Test("If an entry is missing in one queue, the scripts make new entries in all queues")
  func missingPlace() throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let tokens = (0..<4).map { QueueScripts.token("t\($0)") }
    #expect(try scripts.poll(tokens[0], a, b).isGranted)
    for token in tokens.dropFirst() { #expect(try !scripts.poll(token, a, b).isGranted) }
    try client("ZREM", scripts.helpers(of: b).queue, tokens[1])
    #expect(try !scripts.poll(tokens[1], a, b).isGranted)
    for key in [a, b] { #expect(try scripts.queue(key) == [tokens[2], tokens[3], tokens[1]]) }
    #expect(try scripts.score(tokens[1], a) == scripts.score(tokens[1], b))
  }

  /// Keys that are difficult for hash tags and for texts that are split.
  static let names = [
    "{a}b", "a{b}c", "a}b", "{}x", "{", "}", "{}{c}", "x{", "a}b{c}", "{{a}}", "1:a", " ", "%d %s",
    "line\nfeed", "schlüssel", "queue:{a}", ":", "{a",
  ]

  @Test("The scripts find the helpers of keys with any braces in their names", arguments: names)
  func helperNames(name: String) throws {
    let (a, b) = ("\(name)", uniqueKey("b"))
    let (one, two, both) = (
      QueueScripts.token("one"), QueueScripts.token("two"), QueueScripts.token("both")
    )
    let listener = try scripts.listen(as: both)
    #expect(try scripts.poll(one, b).isGranted && scripts.poll(two, a).isGranted)
    #expect(try scripts.poll(both, a, b).holder == two)
    try client("DEL", a)
    // The script gets only the names for the other key, and derives the names for this one.
    #expect(try scripts.release(one, b).handed == 1)
    for key in [a, b] {
      #expect(try scripts.holder(key) == both)
      #expect(try scripts.queue(key).isEmpty)
      #expect(try scripts.entry(both, key) == nil)
    }
    #expect(try scripts.release(both, a, b).outcome == 1)
    _ = listener
  }

  @Test("The scripts' names of helpers differ, and are in their key's cluster slot if possible")
  func hashTags() {
    func hashed(_ key: String) -> Substring {
      guard let open = key.firstIndex(of: "{") else { return key[...] }
      let rest = key[open...].dropFirst()
      guard let close = rest.firstIndex(of: "}"), close > rest.startIndex else { return key[...] }
      return rest[..<close]
    }
    let all = Self.names.map(scripts.helpers).flatMap { [$0.queue, $0.entries] }
    #expect(Set(all).count == 2 * Self.names.count)
    for name in Self.names where hashed(name) != name || !name.contains("}") {
      #expect(hashed(scripts.helpers(of: name).queue) == hashed(name), "\(name)")
      #expect(hashed(scripts.helpers(of: name).entries) == hashed(name), "\(name)")
    }
  }

  @Test("The scripts and the library use the same names for the helpers of a key", .redisServer())
  func sameNames() async throws {
    let lockers = try await makeLockers(2)
    for name in Self.names {
      let first = try await lockers[0].acquire(name, "other", options: .patient)
      let waiting = try await queueUp(for: "other") {
        try await lockers[1].acquire(name, "other", options: .patient)
      }
      let scripts = QueueScripts()
      #expect(try scripts.queue(name) == scripts.queue("other"))
      try await first.release()
      try await expectPromptly(waiting).release()
      let client = RedisClient(.current)
      await eventually("nothing is left of \(name)") {
        try client("KEYS", "*").array == [.string("redis-lock:fence")]
      }
    }
  }
}
