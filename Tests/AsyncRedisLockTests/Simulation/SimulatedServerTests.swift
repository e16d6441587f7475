import ChaosLog
import AsyncRedisLock
import AsyncRedisLockTesting
import PrivateRedis
import Testing

/// Performs the same steps on the simulated server and, by the scripts, on a real one.
@Suite("The simulated server", .timeLimit(.minutes(5)), .redisServer())
struct SimulatedServerTests {
  private let scripts = QueueScripts()
  private let keys = (0..<3).map { uniqueKey("key-\($0)") }
  /// The names of the lockers; the last of them do not listen.
  private let lockers = (0..<5).map { _ in QueueScripts.token("locker") }
  /// Far above the time in µs, so that it does not matter when the counter is raised.
  private let base: UInt64 = 5_000_000_000_000_000

  @Test("The simulated server behaves like the scripts", arguments: UInt64(0)..<20)
  func agrees(seed: UInt64) throws {
    var generator = SplitMix(seed: seed)
    func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }
    let listeners = try lockers.dropLast(2).map { try scripts.listen(as: $0) }
    var server = SimulatedServer(keyCount: keys.count)
    server.counter = base
    for locker in lockers.indices.dropLast(2) { server.listeners[locker] = 1 }
    try scripts.client("SET", "redis-lock:fence", String(base))
    // A token always requests the same keys.
    let claims = (0..<7).map { number in
      let (first, second) = (pick(keys.count), pick(keys.count))
      return (
        token: SimulatedServer.token(number + 1, of: pick(lockers.count)),
        keys: first == second ? [first] : [first, second].sorted()
      )
    }
    for step in 0..<200 {
      let (token, both) = claims[pick(claims.count)]
      let (ttl, numbers) = (60_000 + Int64(pick(9000)), 1 + pick(3))
      let seen = pick(10) == 0 ? server.counter + UInt64(pick(50)) : 0
      let name: String
      let (simulated, real): (String, String)
      switch pick(16) {
      case 0...4:
        let reservation: Int64? = pick(3) == 0 ? 50_000 : nil
        name = "poll, reserving: \(reservation != nil)"
        simulated = text(
          server.poll(
            both, token, ttl: ttl, lapse: 60_000, numbers: numbers, seen: seen, raises: false,
            reservation: reservation))
        real = try poll(both, token, ttl, numbers, seen, reservation)
      case 5...7:
        let leaves = pick(2) == 0
        name = "release, leaving: \(leaves)"
        let released = server.release(both, token, leaves: leaves)
        simulated = said(released)
        let arguments = ["redis-lock:", self.name(token)] + (leaves ? ["1"] : [])
        // The script as a whole, and without its fast path.
        let answer =
          try pick(2) == 0
          ? scripts.runWhole(.release, names(both), arguments)
          : run("release", names(both), arguments)
        real = answer == .integer(1) ? "1 0 " : said(answer)
      case 8:
        name = "acquire"
        simulated = server.acquire(both, token, ttl: ttl, numbers: numbers).map(String.init) ?? "no"
        let answer = try run(
          "acquire", both.map { keys[$0] } + ["redis-lock:fence"],
          [self.name(token), String(ttl), String(both.count), String(numbers)])
        real = answer.array?[0].integer == 1 ? answer.array?[1].string ?? "" : "no"
      case 9:
        name = "extend"
        let extended = server.extend(both, token, ttl: ttl, numbers: numbers)
        switch extended {
        case .ours(let first): simulated = "1 \(first.map(String.init) ?? "")"
        case .deleted: simulated = "0 "
        case .taken(let other): simulated = "\(self.name(other)) "
        }
        let answer = try run(
          "extend", both.map { keys[$0] } + ["redis-lock:fence"],
          [self.name(token), String(ttl), String(both.count), String(numbers)])
        let state = answer.array?[0]
        real =
          "\(state?.string ?? String(state?.integer ?? -9)) \(answer.array?.dropFirst().first?.string ?? "")"
      case 10:
        name = "expire"
        for key in both { server.locks[key].value = nil }
        try scripts.client(words: ["DEL"] + both.map { keys[$0] })
        (simulated, real) = ("", "")
      case 11:
        let former = claims[pick(claims.count)].token
        name = "adopt from \(former)"
        simulated =
          server.adopt(both, from: former, token, ttl: ttl, numbers: numbers).map(String.init)
          ?? "no"
        let answer = try run(
          "adopt", both.map { keys[$0] } + ["redis-lock:fence"],
          [
            self.name(former), self.name(token), String(ttl), String(both.count), String(numbers),
          ])
        real = answer.array?[0].integer == 1 ? answer.array?[1].string ?? "" : "no"
      case 12:
        name = "keep"
        simulated = said(server.keep(both, token, for: ttl))
        let answer = try run("keep", both.map { keys[$0] }, [self.name(token), String(ttl)])
        real = said(answer)
      case 14:
        name = "release in a group"
        simulated = server.releaseAlone(both[0], token) ? "" : "1"
        let answer = try run(
          "release-group", Array(names([both[0]]).prefix(2)), [self.name(token)])
        real = answer.array?.compactMap(\.integer).map(String.init).joined() ?? "none"
      case 13:
        name = "refresh"
        let (counter, holders) = server.refresh([(both[0], token, 60_000)], seen: seen)
        simulated = "\(counter) \(holders[0].map(self.name) ?? "")"
        let answer = try run(
          "refresh", names([both[0]]), ["redis-lock:", String(seen), self.name(token), "60000"])
        real = "\(answer.array?[0].string ?? "") \(answer.array?[1].string ?? "")"
      default:
        name = "raise"
        simulated = server.raise(above: seen, both, token).map(String.init) ?? "no"
        real =
          try run(
            "fence", ["redis-lock:fence"] + both.map { keys[$0] },
            [String(seen), self.name(token)]
          ).string ?? "no"
      }
      server.messages = []
      let comment: Comment = "seed \(seed), step \(step): \(name) of \(token) for \(both)"
      try #require(simulated == real, comment)
      let counter = try scripts.client("GET", "redis-lock:fence").string
      try #require(String(server.counter) == counter, comment)
      for key in keys.indices {
        let (holder, queue) = try (scripts.holder(keys[key]), scripts.queue(keys[key]))
        try #require(server.value(key).map(self.name) == holder, comment)
        let entries = server.hasQueue(key) ? server.locks[key].queue : []
        try #require(entries.map { self.name($0.token) } == queue, comment)
        let answer = try run("inspect", scripts.names([keys[key]]).prefix(3).map { $0 }, [])
        let waiters = answer.array?[3].array?.map { $0.string ?? "" } ?? []
        try #require(server.waiters(key).map(self.name) == waiters, comment)
      }
    }
    withExtendedLifetime(listeners) {}
    try scripts.client("FLUSHALL")
  }

  // MARK: Words for both servers

  private func name(_ token: Int) -> String {
    "\(lockers[SimulatedServer.locker(of: token)]):\(token)"
  }

  private func text(_ answer: SimulatedServer.PollAnswer) -> String {
    switch answer {
    case .taken(let first, let wasGranted): return "taken \(first) \(wasGranted)"
    case .wait(let counter, let holder, let remaining, let isSilent, let isHeard):
      return "wait \(counter) \(holder.map(name) ?? "") \(remaining != nil) \(isSilent) \(isHeard)"
    }
  }

  private func poll(
    _ both: [Int], _ token: Int, _ ttl: Int64, _ numbers: Int, _ seen: UInt64,
    _ reservation: Int64?
  ) throws -> String {
    let answer = try run(
      "poll", names(both),
      [
        "redis-lock:", name(token), String(ttl), "60000", String(numbers), String(seen), "0",
      ] + (reservation.map { [String($0)] } ?? []))
    let fields = try #require(answer.array)
    let number = fields[1].string ?? ""
    guard fields[0].integer == 0 else { return "taken \(number) \(fields[0].integer == 2)" }
    let remaining = fields[3].integer ?? -1
    let flags = fields[4...].map { "\($0.integer == 1)" }.joined(separator: " ")
    return "wait \(number) \(fields[2].string ?? "") \(remaining >= 0) \(flags)"
  }

  private func said(_ released: SimulatedServer.Released) -> String {
    "\(released.outcome) \(released.handed) \(released.other.map(name) ?? "")"
  }

  private func said(_ value: RedisValue) -> String {
    let fields = value.array ?? []
    let codes = fields.prefix(2).map { String($0.integer ?? -9) }.joined(separator: " ")
    return "\(codes) \(fields.dropFirst(2).first?.string ?? "")"
  }

  private func names(_ both: [Int]) -> [String] { scripts.names(both.map { keys[$0] }) }

  private func run(_ script: String, _ keys: [String], _ arguments: [String]) throws -> RedisValue {
    try scripts.run(script, keys, arguments)
  }
}
