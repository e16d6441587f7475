import PrivateRedis
import Testing

@Suite("The script that polls", .timeLimit(.minutes(2)), .redisServer())
struct PollScriptTests {
  private let scripts = QueueScripts()
  private var client: RedisClient { scripts.client }

  @Test(
    "The poll script takes a free key, and gives it again with a larger number each time")
  func takes() throws {
    let key = uniqueKey()
    let token = QueueScripts.token("token")
    guard case .granted(let first) = try scripts.poll(token, key, ttl: 5000, numbers: 4),
      case .found(let second) = try scripts.poll(token, key, ttl: 30_000)
    else {
      Issue.record("the key was free")
      return
    }
    #expect(second == first + 4)
    #expect(try scripts.holder(key) == token)
    #expect(try #require(try client("PTTL", key).integer) > 25_000)
    #expect(try scripts.poll(token, key, ttl: 1000).isGranted)
    #expect(try #require(try client("PTTL", key).integer) > 25_000, "it never shortens")
    #expect(try scripts.queue(key).isEmpty)
  }

  @Test("The poll script keeps one entry, however often it is called, and changes nothing else")
  func idempotent() throws {
    let key = uniqueKey()
    let tokens = (0..<3).map { QueueScripts.token("t\($0)") }
    for token in tokens { _ = try scripts.poll(token, key) }
    let (ticket, counter) = try (scripts.score(tokens[1], key), client("GET", "redis-lock:fence"))
    let first = try scripts.poll(tokens[1], key)
    for _ in 0..<10 {
      let answer = try scripts.poll(tokens[1], key)
      #expect(answer.holder == first.holder)
    }
    #expect(try scripts.queue(key) == Array(tokens.dropFirst()))
    #expect(try scripts.score(tokens[1], key) == ticket)
    #expect(try client("GET", "redis-lock:fence") == counter)
    #expect(try scripts.holder(key) == tokens[0])
  }

  @Test("If a grant message got lost, the poll script gives the granted lock")
  func lostGrant() throws {
    let key = uniqueKey()
    let tokens = (0..<2).map { QueueScripts.token("t\($0)") }
    let listener = try scripts.listen(as: tokens[1])
    _ = try scripts.poll(tokens[0], key)
    guard case .wait(let counter, _, _, _, _) = try scripts.poll(tokens[1], key, ttl: 5000) else {
      Issue.record("the key was held")
      return
    }
    #expect(try scripts.release(tokens[0], key).handed == 1)
    try client("PEXPIRE", key, "1000")
    guard case .found(let first) = try scripts.poll(tokens[1], key, ttl: 5000) else {
      Issue.record("the key is its own")
      return
    }
    #expect(first > counter + 1, "not the number that was in the message")
    #expect(try #require(try client("PTTL", key).integer) > 4000)
    _ = listener
  }

  @Test(
    "The poll script hands a free key to the first listener in the queue, whichever waiter asks")
  func handsToFirst() throws {
    for isListening in [true, false] {
      let key = uniqueKey()
      let tokens = (0..<3).map { QueueScripts.token("t\($0)") }
      for token in tokens { _ = try scripts.poll(token, key) }
      let listener = isListening ? try scripts.listen(as: tokens[1]) : nil
      try client("DEL", key)
      let answer = try scripts.poll(tokens[2], key)
      #expect(answer.isGranted == !isListening)
      #expect(try scripts.holder(key) == tokens[isListening ? 1 : 2])
      #expect(try scripts.queue(key) == [tokens[isListening ? 2 : 1]])
      _ = listener
    }
  }

  @Test("The poll script does not take a free key ahead of its waiters")
  func newcomer() throws {
    let key = uniqueKey()
    let tokens = (0..<3).map { QueueScripts.token("t\($0)") }
    for token in tokens.prefix(2) { _ = try scripts.poll(token, key) }
    let listener = try scripts.listen(as: tokens[1])
    try client("DEL", key)
    #expect(try scripts.poll(tokens[2], key).holder == tokens[1])
    #expect(try scripts.holder(key) == tokens[1])
    _ = listener
  }

  @Test(
    "The poll script tells the holder, its remaining time, and whether its release is announced")
  func answer() throws {
    let key = uniqueKey()
    let token = QueueScripts.token("token")
    for (value, isSilent) in [("rl1n:a:1:::1:", false), ("rl1s:a:1:::1:", true), ("x", true)] {
      try client("SET", key, value, "PX", "5000")
      guard case .wait(_, value, let remaining, isSilent, _) = try scripts.poll(token, key) else {
        Issue.record("another answer for \(value)")
        continue
      }
      #expect(remaining > 3000 && remaining <= 5000)
    }
    try client("SET", key, String(repeating: "y", count: 10_000))
    guard case .wait(_, let holder, -1, true, _) = try scripts.poll(token, key) else {
      Issue.record("a key that never expires has no time to live")
      return
    }
    #expect(holder == String(repeating: "y", count: 512))
  }

  @Test("If its entry is gone, the poll script makes a new one with a later ticket")
  func lostPlace() throws {
    let key = uniqueKey()
    let tokens = (0..<3).map { QueueScripts.token("t\($0)") }
    for token in tokens { _ = try scripts.poll(token, key) }
    try client("ZREM", scripts.helpers(of: key).queue, tokens[1])
    #expect(try !scripts.poll(tokens[1], key).isGranted)
    #expect(try scripts.queue(key) == [tokens[2], tokens[1]])
  }

  @Test("The poll script draws numbers with all their digits above 10^15, also from a lost counter")
  func largeNumbers() throws {
    let key = uniqueKey()
    let tokens = (0..<4).map { QueueScripts.token("t\($0)") }
    try client("SET", "redis-lock:fence", "9007199254740000")
    #expect(try scripts.poll(tokens[0], key) == .granted(first: 9_007_199_254_740_001))
    for (index, token) in tokens.enumerated().dropFirst() {
      guard case .wait(let counter, _, _, _, _) = try scripts.poll(token, key) else {
        Issue.record("the key was held")
        return
      }
      #expect(counter == 9_007_199_254_740_001 + UInt64(index))
      // The form in which the server shows it does not matter.
      #expect(try #require(scripts.score(token, key).flatMap(Double.init)) == Double(counter))
    }
    #expect(try scripts.queue(key) == Array(tokens.dropFirst()))

    let seen: UInt64 = 8_900_000_000_123_456
    try client("DEL", "redis-lock:fence")
    let other = uniqueKey()
    #expect(try scripts.poll(tokens[0], other, seen: seen) == .granted(first: seen + 1))
    // At least the server's clock.
    try client("DEL", "redis-lock:fence")
    guard case .found(let number) = try scripts.poll(tokens[0], other, seen: 5) else {
      Issue.record("the key is its own")
      return
    }
    let seconds = try #require(try client("TIME").array?.first?.string.flatMap(UInt64.init))
    #expect(number / 1_000_000 <= seconds && number / 1_000_000 + 5 > seconds)
  }

  @Test("The poll script uses the given names, with any prefix")
  func prefix() throws {
    var scripts = scripts
    scripts.prefix = "ours:"
    let key = uniqueKey()
    let tokens = (0..<2).map { QueueScripts.token("t\($0)") }
    let listener = try scripts.listen(as: tokens[1])
    for token in tokens { _ = try scripts.poll(token, key) }
    #expect(try client("ZCARD", "ours:queue:{\(key)}").integer == 1)
    #expect(try client("EXISTS", "redis-lock:queue:{\(key)}").integer == 0)
    #expect(try scripts.release(tokens[0], key).handed == 1)
    #expect(try client("EXISTS", "ours:queue:{\(key)}", "ours:entries:{\(key)}").integer == 0)
    while listener.messages.isEmpty { try client("PING") }
    #expect(listener.messages.first?.contains(tokens[1]) == true)
  }
}
