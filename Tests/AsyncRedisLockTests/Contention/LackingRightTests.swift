import AsyncRedisLock
import PrivateRedis
import Testing

/// A grant is complete or is not announced, and an error means that nothing was released: whatever the user lacks.
@Suite("The scripts of a user that lacks a right", .timeLimit(.minutes(2)), .redisServer())
struct LackingRightTests {
  /// What the user lacks.
  enum Lack: String, CaseIterable {
    case zrange, zrem, hget, hdel, exists, publish, pubsub, incrby, time, set, pttl, pexpire,
      nothing
    /// Any right to the waiter's other key; only that to its helpers; only that to its entries.
    case otherKey, otherQueue, otherEntries
    /// The right to the entries of the key itself.
    case entries

    var isAboutOther: Bool { [.otherKey, .otherQueue, .otherEntries].contains(self) }

    func rules(_ key: String, _ other: String) -> [String] {
      let own = ["resetkeys", "~\(key)", "~redis-lock:fence", "~redis-lock:queue:{\(key)}"]
      let all = own + ["~redis-lock:entries:{\(key)}"]
      switch self {
      case .nothing: return []
      case .otherKey: return all
      case .otherQueue: return all + ["~\(other)"]
      case .otherEntries: return all + ["~\(other)", "~redis-lock:queue:{\(other)}"]
      case .entries: return own + ["~*\(other)*"]
      default: return ["-\(rawValue)"]
      }
    }
  }

  enum Action: CaseIterable { case release, cleanUp, force, poll }

  private let admin = RedisClient(.current)
  private let scripts = QueueScripts()

  @Test("A grant is complete, or the waiter has its place", arguments: Lack.allCases)
  func handOn(_ lack: Lack) throws {
    for action in Action.allCases {
      for isForTwo in [false, true] {
        try handOn(lack, by: action, to: isForTwo)
      }
    }
  }

  private func handOn(_ lack: Lack, by action: Action, to isForTwo: Bool) throws {
    let (key, other) = (uniqueKey("a"), uniqueKey("b"))
    let (holder, waiter, next) = (
      QueueScripts.token("holder"), QueueScripts.token("waiter"), QueueScripts.token("next")
    )
    let listener = try scripts.listen(as: waiter)
    let comment: Comment = "\(action), for \(isForTwo ? 2 : 1)"
    #expect(try scripts.poll(holder, key).isGranted)
    func poll() throws -> QueueScripts.Answer {
      try isForTwo
        ? scripts.poll(waiter, key, other, ttl: 7000, lapse: 3000)
        : scripts.poll(waiter, key, ttl: 7000, lapse: 3000)
    }
    #expect(try poll().holder == holder)
    let user = try QueueScripts(client: client(lack.rules(key, other)))
    if action == .poll { try admin("DEL", key) }
    var failure: (any Error)?
    do {
      switch action {
      case .release: _ = try user.release(holder, key)
      case .cleanUp: _ = try user.release(holder, key, leaves: true)
      case .force: _ = try user.forceRelease(key)
      case .poll: _ = try user.poll(next, key)
      }
    } catch {
      failure = error
    }

    if lack.isAboutOther || lack == .nothing { #expect(failure == nil, comment) }
    if action != .poll {
      #expect(try (failure == nil) == (scripts.holder(key) != holder), comment)
    } else if failure == nil {
      #expect(try scripts.queue(key).contains(next), comment)
    }
    try admin("PUBLISH", "redis-lock:inbox:\(waiter.split(separator: ":")[4])", "last")
    while listener.messages.last != "last" { try admin("PING") }
    let isAnnounced = listener.messages.count > 1
    if lack == .nothing { #expect(isAnnounced, comment) }
    for one in isForTwo ? [key, other] : [key] {
      let (value, queue) = (try scripts.holder(one), try scripts.queue(one))
      let isEntered = try queue.contains(waiter) || scripts.entry(waiter, one) != nil
      #expect(isEntered != isAnnounced, comment)
      guard value == waiter else {
        #expect(!isAnnounced, comment)
        continue
      }
      let life = try #require(try admin("PTTL", one).integer)
      #expect((life > 4000) == isAnnounced, comment)
    }
    if failure == nil, !isAnnounced { #expect(try poll().isGranted, comment) }
  }

  @Test("A group of releases says which locks it has left", arguments: Lack.allCases)
  func group(_ lack: Lack) throws {
    let keys = (0..<4).map { _ in uniqueKey() }
    let tokens = keys.map { QueueScripts.token($0) }
    for (key, token) in zip(keys, tokens) { #expect(try scripts.poll(token, key).isGranted) }
    try admin("DEL", keys[1])
    let user = try QueueScripts(client: client(lack.rules(keys[0], keys[2])))
    let answer = try? user.runWhole(
      .releaseGroup, keys.flatMap { [$0, scripts.helpers(of: $0).queue] }, tokens)
    let left = answer.map { $0.array?.compactMap(\.integer) ?? [] } ?? [1, 2, 3, 4]
    #expect(left.contains(2))
    for (place, (key, token)) in zip(keys, tokens).enumerated() where place != 1 {
      #expect(try (scripts.holder(key) == token) == left.contains(place + 1))
    }
  }

  @Test(
    "A place that cannot be made leaves no helper behind", arguments: ["hset", "zadd", "pexpire"])
  func place(_ right: String) throws {
    let (key, other) = (uniqueKey(), uniqueKey())
    for one in [key, other] { try admin("SET", one, "another's", "PX", "60000") }
    let user = try QueueScripts(client: client(["-\(right)"]))
    let token = QueueScripts.token("waiter")
    #expect(throws: RedisError.self) { try user.poll(token, key, other) }
    for helper in [key, other].map(scripts.helpers) {
      #expect(try admin("EXISTS", helper.queue, helper.entries) == .integer(0))
    }
  }

  @Test("Nothing is reserved for a waiter that may not ask whether its inbox is there")
  func reservation() throws {
    let key = uniqueKey()
    let (holder, waiter, other) = (
      QueueScripts.token("holder"), QueueScripts.token("waiter"), QueueScripts.token("other")
    )
    #expect(try scripts.poll(holder, key).isGranted)
    let user = try QueueScripts(client: client(["-pubsub"]))
    #expect(try !user.poll(waiter, key, reservation: 2000).isGranted)
    let listener = try scripts.listen(as: other)
    #expect(try !scripts.poll(other, key).isGranted)
    _ = try scripts.release(holder, key)
    #expect(try scripts.holder(key) == other)
    withExtendedLifetime(listener) {}
  }

  @Test("Each helper of a place expires, whatever was there before")
  func expiry() throws {
    let key = uniqueKey()
    let helpers = scripts.helpers(of: key)
    try admin("SET", key, "another's", "PX", "60000")
    try admin("ZADD", helpers.queue, "1", "stray")
    try admin("PEXPIRE", helpers.queue, "900000")
    #expect(try !scripts.poll(QueueScripts.token("waiter"), key).isGranted)
    #expect(try (admin("PTTL", helpers.entries).integer ?? 0) > 0)
  }

  private func client(_ rules: [String]) throws -> RedisClient {
    let user = uniqueKey("user")
    try admin(words: ["ACL", "SETUSER", user, "on", ">pw", "+@all", "~*", "&*"] + rules)
    let client = RedisClient(.current)
    try client("AUTH", user, "pw")
    return client
  }
}
