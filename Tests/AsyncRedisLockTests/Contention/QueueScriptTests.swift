import PrivateRedis
import Testing

/// Uses the scripts alone, as another client library would.
@Suite("The scripts that hand on", .timeLimit(.minutes(2)), .redisServer())
struct QueueScriptTests {
  private let scripts = QueueScripts()
  private var client: RedisClient { scripts.client }

  /// Makes a queue for a key that the first token holds.
  private func makeQueue(_ key: String, _ count: Int, lapse: Int = 60_000) throws -> [String] {
    let tokens = (0...count).map { QueueScripts.token("t\($0)") }
    #expect(try scripts.poll(tokens[0], key).isGranted)
    for token in tokens.dropFirst() {
      #expect(try scripts.poll(token, key, lapse: lapse).holder == tokens[0])
    }
    #expect(try scripts.queue(key) == Array(tokens.dropFirst()))
    return tokens
  }

  @Test(
    "The queue scripts give the key to the first listener, with its ttl, and tell it its number")
  func grant() throws {
    let key = uniqueKey()
    let (first, second) = (QueueScripts.token("first"), QueueScripts.token("second"))
    let listener = try scripts.listen(as: second)
    #expect(try scripts.poll(first, key).isGranted)
    guard
      case .wait(let counter, first, let remaining, isSilent: false, _) =
        try scripts.poll(second, key, ttl: 7000, numbers: 3)
    else {
      Issue.record("the token must wait for the first one")
      return
    }
    #expect(remaining > 20_000 && remaining <= 30_000)
    #expect(try scripts.release(first, key) == .init(outcome: 1, handed: 1))
    #expect(try scripts.holder(key) == second)
    let ttl = try #require(try client("PTTL", key).integer)
    #expect(ttl > 5000 && ttl <= 7000)
    #expect(try scripts.queue(key).isEmpty)
    #expect(try scripts.entry(second, key) == nil)
    // The counter is at the last of the three numbers.
    let last = try #require(try client("GET", "redis-lock:fence").string.flatMap(UInt64.init))
    #expect(last == counter + 3)
    let message = "\(counter + 1) 3 \(second) \(key.utf8.count):\(key)"
    // A reply on another connection comes after messages that were published before.
    while listener.messages.isEmpty { try client("PING") }
    #expect(listener.messages == [message])
    #expect(try scripts.release(second, key) == .init(outcome: 1, handed: 0))
    #expect(try scripts.holder(key) == nil)
  }

  @Test("The queue scripts pass over a waiter that does not listen, and keep its entry")
  func passOver() throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 3)
    let listener = try scripts.listen(as: tokens[3])
    let places = try tokens.dropFirst().prefix(2).map { try scripts.score($0, key) }
    #expect(try scripts.release(tokens[0], key) == .init(outcome: 1, handed: 1))
    #expect(try scripts.holder(key) == tokens[3])
    #expect(try scripts.queue(key) == Array(tokens[1...2]))
    #expect(try tokens.dropFirst().prefix(2).map { try scripts.score($0, key) } == places)
    while listener.messages.isEmpty { try client("PING") }

    #expect(try scripts.release(tokens[3], key) == .init(outcome: 1, handed: 0))
    #expect(try scripts.holder(key) == nil, "no waiter listens, and the key is free")
    #expect(try scripts.queue(key) == Array(tokens[1...2]))
    // A poll gets the key by its answer if its token is the first, or if those before it do not listen.
    #expect(try scripts.poll(tokens[2], key).isGranted)
    #expect(try scripts.queue(key) == [tokens[1]])
  }

  @Test(
    "A script publishes nothing to an inbox on another server, since replicas would pass it on")
  func publishesNothingElsewhere() throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 2)
    let (both, other) = (QueueScripts.token("both"), uniqueKey())
    #expect(!(try scripts.poll(both, key, other).isGranted))
    let before = try RedisServer.current.calls("publish")
    #expect(try scripts.release(tokens[0], key) == .init(outcome: 1, handed: 0))
    #expect(try scripts.holder(key) == nil)
    #expect(try RedisServer.current.calls("publish") == before)
  }

  @Test("A poll tells whether the caller's inbox is on the server")
  func saysWhetherHeard() throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 1)
    func isHeard() throws -> Bool? {
      if case .wait(_, _, _, _, let isHeard) = try scripts.poll(tokens[1], key) {
        isHeard
      } else {
        nil
      }
    }
    #expect(try isHeard() == false)
    let listener = try scripts.listen(as: tokens[1])
    #expect(try isHeard() == true)
    withExtendedLifetime(listener) {}
  }

  @Test(
    "A key that is next for a waiter without an inbox is reserved for it, if it asks for that",
    arguments: 1...2)
  func reservedUnheard(count: Int) throws {
    let keys = (0..<count).map { uniqueKey("\($0)") }
    let (holder, deaf, other) = (
      QueueScripts.token("holder"), QueueScripts.token("deaf"), QueueScripts.token("other")
    )
    let listener = try scripts.listen(as: other)
    defer { withExtendedLifetime(listener) {} }
    func poll(_ token: String, reservation: Int? = nil) throws -> QueueScripts.Answer {
      count == 1
        ? try scripts.poll(token, keys[0], reservation: reservation)
        : try scripts.poll(token, keys[0], keys[1], reservation: reservation)
    }
    #expect(try poll(holder).isGranted)
    #expect(try !poll(deaf, reservation: 2000).isGranted)
    #expect(try !poll(other, reservation: 2000).isGranted)
    for key in keys {
      #expect(try scripts.release(holder, key) == .init(outcome: 1, handed: 2))
      #expect(try scripts.holder(key) == deaf)
      #expect((1000...2000).contains(try #require(try client("PTTL", key).integer)))
    }
    // It was not granted before, so no notice is missing.
    guard case .granted = try poll(deaf) else { return #expect(Bool(false), "found") }
    // A waiter that is heard gets a notice in place of a reservation.
    for key in keys { _ = try scripts.release(deaf, key) }
    for key in keys {
      #expect(try scripts.queue(key) == [])
      #expect(try client("HLEN", scripts.helpers(of: key).entries) == .integer(0))
    }
  }

  @Test("A waiter that does not ask again has a key reserved once, and then others get it")
  func reservedOnce() throws {
    let key = uniqueKey()
    let (holder, dead, other) = (
      QueueScripts.token("holder"), QueueScripts.token("dead"), QueueScripts.token("other")
    )
    let listener = try scripts.listen(as: other)
    #expect(try scripts.poll(holder, key).isGranted)
    #expect(try !scripts.poll(dead, key, reservation: 2000).isGranted)
    #expect(try !scripts.poll(other, key).isGranted)
    #expect(try scripts.release(holder, key) == .init(outcome: 1, handed: 2))
    #expect(try scripts.holder(key) == dead)
    // As if the reservation expired while another holder came and went.
    try client("SET", key, holder, "PX", "5000")
    #expect(try scripts.release(holder, key) == .init(outcome: 1, handed: 1))
    #expect(try scripts.holder(key) == other)
    withExtendedLifetime(listener) {}
  }

  @Test("Where no waiter can be notified, nothing is reserved, and the next poll takes the key")
  func allUnheard() throws {
    let key = uniqueKey()
    let (holder, first, second) = (
      QueueScripts.token("holder"), QueueScripts.token("first"), QueueScripts.token("second")
    )
    #expect(try scripts.poll(holder, key).isGranted)
    for waiter in [first, second] {
      #expect(try !scripts.poll(waiter, key, reservation: 2000).isGranted)
    }
    #expect(try scripts.release(holder, key) == .init(outcome: 1, handed: 0))
    #expect(try scripts.poll(second, key, reservation: 2000).isGranted)
  }

  @Test(
    "A helper of another type keeps no waiter of another key from its notice",
    arguments: [true, false])
  func helperOfAnotherType(isQueue: Bool) throws {
    let (a, b, c) = (uniqueKey("a"), uniqueKey("b"), uniqueKey("c"))
    let (holder, waiter) = (QueueScripts.token("holder"), QueueScripts.token("waiter"))
    #expect(try scripts.poll(holder, a, b, c).isGranted)
    #expect(try !scripts.poll(waiter, b).isGranted)
    if isQueue {
      try client("SET", scripts.helpers(of: a).queue, "text")
    } else {
      #expect(try !scripts.poll(QueueScripts.token("other"), a).isGranted)
      try client("SET", scripts.helpers(of: a).entries, "text")
    }
    let listener = try scripts.listen(as: waiter)
    // Nor does it look as if the caller lacked a right.
    #expect(try scripts.release(holder, a, b, c) == .init(outcome: 1, handed: 1))
    #expect(try scripts.holder(b) == waiter)
    #expect(try scripts.holder(a) == nil)
    withExtendedLifetime(listener) {}
  }

  @Test("A lock that is only reserved for a waiter shows nothing of the right to notify")
  func reservedOnly() throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let tokens = (0..<3).map { QueueScripts.token("t\($0)") }
    #expect(try scripts.poll(tokens[0], a).isGranted)
    #expect(try scripts.poll(tokens[1], b).isGranted)
    let listener = try scripts.listen(as: tokens[2])
    #expect(try !scripts.poll(tokens[2], a, b).isGranted)
    #expect(try scripts.release(tokens[0], a) == .init(outcome: 1, handed: 2))
    #expect(try scripts.release(tokens[1], b) == .init(outcome: 1, handed: 1))
    #expect(try scripts.holder(a) == tokens[2])
    withExtendedLifetime(listener) {}
  }

  @Test("Entries that were lost and cannot be given a time to live do not stay")
  func entriesWithoutLife() throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 1)
    try client("DEL", scripts.helpers(of: key).entries)
    let name = "u\(UInt64.random(in: 0 ... .max))"
    try client("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all", "-pexpire")
    defer { _ = try? client("ACL", "DELUSER", name) }
    try client("AUTH", name, "any")
    #expect(throws: RedisError.self) { try scripts.poll(tokens[1], key) }
    try client("AUTH", "default", "any")
    #expect(try client("PTTL", scripts.helpers(of: key).entries).integer != -1)
  }

  @Test("A newcomer queues behind those that wait, even if the fence counter was deleted")
  func newcomer() throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let tokens = (0..<4).map { QueueScripts.token("t\($0)") }
    #expect(try scripts.poll(tokens[0], a, b).isGranted)
    #expect(try !scripts.poll(tokens[1], a, raises: true).isGranted)
    try client("DEL", "redis-lock:fence")
    // As a locker does that has seen no fencing token.
    #expect(try !scripts.poll(tokens[2], b, a).isGranted)
    try client("DEL", "redis-lock:fence")
    #expect(try !scripts.poll(tokens[3], b).isGranted)
    #expect(try scripts.queue(a) == [tokens[1], tokens[2]])
    #expect(try scripts.queue(b) == [tokens[2], tokens[3]])
  }

  @Test("A grant's number is above its waiter's ticket even if the fence counter was deleted")
  func lostCounter() throws {
    let key = uniqueKey()
    let (holder, waiter) = (try makeQueue(key, 0)[0], QueueScripts.token("waiter"))
    // The ticket comes from a counter at the server's time, as after a login.
    guard case .wait(let counter, _, _, _, _) = try scripts.poll(waiter, key, raises: true) else {
      Issue.record("the key is held")
      return
    }
    let listener = try scripts.listen(as: waiter)
    try client("DEL", "redis-lock:fence")
    #expect(try scripts.release(holder, key).handed == 1)
    while listener.messages.isEmpty { try client("PING") }
    let number = listener.messages[0].split(separator: " ").first.flatMap { UInt64($0) }
    #expect(try #require(number) > counter)
  }

  @Test("The queue scripts remove a waiter that has not polled in time")
  func lapsed() async throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 2, lapse: 50)
    let last = QueueScripts.token("last")
    let listener = try (scripts.listen(as: tokens[1]), scripts.listen(as: last))
    #expect(try !scripts.poll(last, key).isGranted)
    try await Task.sleep(for: .milliseconds(60))
    #expect(try scripts.release(tokens[0], key).handed == 1)
    #expect(try scripts.holder(key) == last, "the first listens, but its entry has lapsed")
    #expect(try scripts.queue(key).isEmpty)
    #expect(try client("EXISTS", scripts.helpers(of: key).entries).integer == 0)
    #expect(listener.0.messages.isEmpty)
  }

  @Test("The queue scripts keep the entry and the ticket of a waiter that polls in time")
  func putOff() async throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 1, lapse: 300)
    let listener = try scripts.listen(as: tokens[1])
    let ticket = try scripts.score(tokens[1], key)
    for _ in 0..<4 {
      try await Task.sleep(for: .milliseconds(100))
      #expect(try !scripts.poll(tokens[1], key, lapse: 300).isGranted)
    }
    #expect(try scripts.score(tokens[1], key) == ticket)
    #expect(try scripts.release(tokens[0], key).handed == 1)
    #expect(try scripts.holder(key) == tokens[1])
    _ = listener
  }

  @Test("The queue scripts look at no more than a hundred entries in one call")
  func hundred() throws {
    for (count, isHanded) in [(99, true), (100, false)] {
      let key = uniqueKey()
      let tokens = try makeQueue(key, count)
      let last = QueueScripts.token("last")
      let listener = try scripts.listen(as: last)
      #expect(try !scripts.poll(last, key).isGranted)
      #expect(try scripts.release(tokens[0], key).handed == (isHanded ? 1 : 0))
      #expect(try scripts.holder(key) == (isHanded ? last : nil))
      #expect(try scripts.queue(key).count == (isHanded ? count : count + 1))
      _ = listener
    }
  }

  @Test(
    "Without polls, a queue expires, and never earlier than any of its waiters needs"
  )
  func expiry() throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 1, lapse: 40_000)
    #expect(try !scripts.poll(QueueScripts.token("hasty"), key, lapse: 1000).isGranted)
    for name in [scripts.helpers(of: key).queue, scripts.helpers(of: key).entries] {
      let remaining = try #require(try client("PTTL", name).integer)
      // Twice as long as any entry lasts, so that not every poll has to extend it.
      #expect(remaining > 40_000 && remaining <= 80_000)
    }
    #expect(tokens.count == 2)
  }

  @Test("The queue scripts report the outcome for the key, and leave another holder's key alone")
  func outcomes() throws {
    let key = uniqueKey()
    let token = QueueScripts.token("token")
    #expect(try scripts.release(token, key) == .init(outcome: 0, handed: 0))
    try client("SET", key, "theirs")
    #expect(try scripts.release(token, key) == .init(outcome: -1, handed: 0))
    #expect(try scripts.holder(key) == "theirs")
  }

  @Test(
    "If a holder releases an expired key, the queue scripts give it to the first waiter"
  )
  func releasedTooLate() throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 1)
    let listener = try scripts.listen(as: tokens[1])
    try client("DEL", key)
    #expect(try scripts.release(tokens[0], key) == .init(outcome: 0, handed: 1))
    #expect(try scripts.holder(key) == tokens[1])
    _ = listener
  }

  @Test("In a clean-up, the queue scripts give up the entry and a lock that was granted meanwhile")
  func cleanUp() throws {
    let key = uniqueKey()
    let tokens = try makeQueue(key, 3)
    let listeners = try tokens.map(scripts.listen)
    #expect(try scripts.release(tokens[1], key, leaves: true) == .init(outcome: -1, handed: 0))
    #expect(try scripts.queue(key) == Array(tokens[2...3]))
    #expect(try scripts.entry(tokens[1], key) == nil)
    #expect(try scripts.holder(key) == tokens[0])
    #expect(try scripts.release(tokens[0], key).handed == 1)
    #expect(try scripts.holder(key) == tokens[2])
    #expect(try scripts.release(tokens[2], key, leaves: true) == .init(outcome: 1, handed: 1))
    #expect(try scripts.holder(key) == tokens[3])
    _ = listeners
  }

  @Test("The queue scripts hand on a key that is released by force, and report its former holder")
  func force() throws {
    let key = uniqueKey()
    #expect(try scripts.forceRelease(key) == nil)
    let tokens = try makeQueue(key, 1)
    let listener = try scripts.listen(as: tokens[1])
    #expect(try scripts.forceRelease(key) == tokens[0])
    #expect(try scripts.holder(key) == tokens[1])
    #expect(try scripts.release(tokens[0], key) == .init(outcome: -1, handed: 0))
    try client("DEL", key)
    try client("LPUSH", key, "no lock")
    #expect(throws: RedisError.self) { try scripts.forceRelease(key) }
    #expect(try client("LLEN", key).integer == 1)
    _ = listener
  }

  @Test(
    "The queue scripts list at most a hundred waiters in order, without lapsed entries"
  )
  func inspect() async throws {
    let key = uniqueKey()
    #expect(try scripts.inspect(key) == .null)
    let tokens = try makeQueue(key, 2, lapse: 40)
    try await Task.sleep(for: .milliseconds(50))
    let others = (0..<120).map { QueueScripts.token("o\($0)") }
    for token in others { #expect(try !scripts.poll(token, key).isGranted) }
    let parts = try #require(try scripts.inspect(key).array)
    #expect(parts[0].string == tokens[0])
    #expect(try #require(parts[1].integer) > 20_000)
    #expect(parts[2].integer == 120)
    #expect(parts[3].array?.compactMap(\.string) == Array(others.prefix(100)))
  }
}
