import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("Many entries that are kept with one request", .redisServer(), .timeLimit(.minutes(1)))
struct RefreshTests {
  private let scripts = QueueScripts()
  private var client: RedisClient { scripts.client }

  /// Refreshes the entries of one locker's tokens, each for its key.
  private func refresh(
    _ places: [(token: String, key: String)], lapse: Int = 60_000, seen: UInt64 = 0
  ) throws -> (counter: String?, places: [(holder: String, remaining: Int)]) {
    let answer = try #require(
      try scripts.run(
        "refresh", scripts.names(places.map(\.key)),
        ["redis-lock:", String(seen)] + places.flatMap { [$0.token, String(lapse)] }
      ).array)
    try #require(answer.count == 1 + 2 * places.count)
    return (
      answer[0].string,
      try places.indices.map {
        (
          try #require(answer[1 + 2 * $0].string), try #require(answer[2 + 2 * $0].integer)
        )
      }
    )
  }

  @Test("The refresh script keeps each entry, tells the holder, and changes nothing else")
  func scriptKeepsPlaces() throws {
    let keys = (0..<3).map { _ in uniqueKey() }
    let holders = keys.indices.map { QueueScripts.token("holder\($0)") }
    let waiter = QueueScripts.token("waiter")
    let listener = try scripts.listen(as: waiter)
    for (key, holder) in zip(keys, holders) {
      _ = try scripts.poll(holder, key, ttl: 20_000)
      _ = try scripts.poll(waiter, key, lapse: 5_000)
    }
    let counter = try client("GET", "redis-lock:fence").string
    let before = try scripts.entry(waiter, keys[0])
    let answer = try refresh(keys.map { (waiter, $0) })
    #expect(answer.counter == counter)
    #expect(answer.places.map(\.holder) == holders)
    #expect(answer.places.allSatisfy { (1...20_000).contains($0.remaining) })
    let after = try scripts.entry(waiter, keys[0])
    #expect(after?.split(separator: " ").dropFirst() == before?.split(separator: " ").dropFirst())
    #expect(
      after.flatMap { Int($0.prefix { $0 != " " }) } ?? 0 > before.flatMap {
        Int($0.prefix { $0 != " " })
      } ?? .max)
    #expect(try #require(try client("PTTL", scripts.helpers(of: keys[0]).queue).integer) > 60_000)
    #expect(try client("GET", "redis-lock:fence").string == counter)
    #expect(try scripts.queue(keys[0]) == [waiter])
    withExtendedLifetime(listener) {}
  }

  @Test("The refresh script leaves to a poll the cases that it must not decide")
  func scriptLeavesTheRestToPolls() throws {
    let waiter = QueueScripts.token("waiter")
    let (held, free, own, silent, unknown, reserved) = (
      uniqueKey(), uniqueKey(), uniqueKey(), uniqueKey(), uniqueKey(), uniqueKey()
    )
    let holder = QueueScripts.token("holder")
    for key in [held, free, own, silent] {
      _ = try scripts.poll(holder, key)
      _ = try scripts.poll(waiter, key)
    }
    // The holder itself waits here: its hold is a reservation.
    _ = try scripts.poll(QueueScripts.token("former"), reserved)
    _ = try scripts.poll(waiter, reserved)
    _ = try scripts.poll(holder, reserved)
    try client("SET", reserved, holder)
    try client("DEL", free)
    try client("SET", own, waiter)
    try client("SET", silent, "someone's")
    _ = try scripts.poll(holder, unknown)
    let keys = [held, free, own, silent, unknown, reserved]
    func holders(seen: UInt64 = 0) throws -> [String] {
      try refresh(keys.map { (waiter, $0) }, seen: seen).places.map(\.holder)
    }
    #expect(try holders() == Array(repeating: "", count: 6), "its inbox is not here")
    let listener = try scripts.listen(as: waiter)
    #expect(try holders() == [holder, "", "", "", "", ""])
    #expect(
      try holders(seen: (1 << 53) - 1) == Array(repeating: "", count: 6), "the counter was lost")
    #expect(try scripts.holder(free) == nil)
    #expect(try scripts.queue(unknown).isEmpty)
    withExtendedLifetime(listener) {}
  }

  @Test("Two hundred waiters keep their entries with a few requests, and notice keys that vanish")
  func waitersShareQuestions() async throws {
    let keys = (0..<200).map { _ in uniqueKey() }
    let holder = try await Locker(on: .current)
    let waiter = try await Locker(on: .current)
    let options = LockOptions(timeout: nil, ttl: .milliseconds(1500), extend: .milliseconds(500))
    var held: [Lock] = []
    // No extension is counted among the requests.
    let quiet = LockOptions(ttl: .seconds(60), extend: nil)
    for key in keys { held.append(try await holder.acquire(key, options: quiet)) }
    let waiting = keys.map { key in
      Task { try await waiter.acquire(key, options: options) }
    }
    for key in keys { await eventually(within: .seconds(20)) { try scripts.queue(key).count == 1 } }
    /// Until when the entry of the last key is kept.
    func lapse() throws -> Int {
      let token = try #require(try scripts.queue(keys[199]).first)
      return try #require(
        try scripts.entry(token, keys[199]).flatMap { Int($0.prefix { $0 != " " }) })
    }
    let start = try lapse()
    try client("CONFIG", "RESETSTAT")
    // Covers three rounds of requests.
    await eventually(within: .seconds(20)) { try lapse() > start + 1200 }
    let calls = try #require(
      try client("INFO", "commandstats").string?.firstMatch(of: /cmdstat_evalsha:calls=(\d+)/)
        .flatMap { Int($0.1) })
    #expect(calls < 60, "one request each would be 600, and a tenth of that is too much")
    // Looks as if the holder's process had died.
    try client(words: ["DEL"] + keys)
    for one in waiting { #expect(try await one.value.isHeld) }
    await waiter.close()
    await holder.close()
    for key in keys { await expectNothingLeft(key) }
    withExtendedLifetime(held) {}
  }
}
