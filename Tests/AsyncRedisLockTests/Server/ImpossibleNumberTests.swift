import AsyncRedisLock
import FaultProxy
import PrivateRedis
import Testing

@Suite("An impossible number", .redisServer(), .timeLimit(.minutes(1)))
struct ImpossibleNumberTests {
  private static let largest: UInt64 = (1 << 53) - 1
  private let client = RedisClient(.current)
  private let options = LockOptions(retry: .milliseconds(1), timeout: .seconds(5))

  @Test(
    "A fencing token beyond 2^53 - 1 is refused, and its locker sends it to no server",
    arguments: ["EVAL", "INCR"])
  func notRemembered(command name: String) async throws {
    let server = try FakeServer { command, _, _ in
      guard command.name == name else { return nil }
      let digits = "9223372036854775807"
      return name == "INCR" ? .send(":\(digits)\r\n") : .bulk(digits)
    }
    defer { server.stop() }
    if name == "EVAL" {
      let attempt = await Attempt {
        try await Locker(url: server.url) { $0.connectTimeout = .milliseconds(200) }
      }
      #expect(attempt.error?.code == .unreachable)
    } else {
      let locker = try await Locker(url: server.url)
      // The second request is a script, which gets a good answer.
      let lock = try await locker.acquire(uniqueKey(), options: options)
      #expect(lock.fencingToken ?? .max <= Self.largest)
    }
    let words = server.commands.joined().flatMap(\.words)
    #expect(!words.contains { $0.contains("922337203685477580") })
  }

  @Test(
    "If the counter is beyond 2^53 - 1, the error says so, and no key is left",
    arguments: [largest, largest + 1, 9_223_372_036_854_775_807])
  func counterBeyond(value: UInt64) async throws {
    let prefix = uniqueKey("prefix")
    try client("SET", prefix + "fence", String(value))
    let locker = try await Locker(on: .current) { $0.keyPrefix = prefix }
    for keys in [[uniqueKey()], [uniqueKey("a"), uniqueKey("b")]] {
      let attempt = await Attempt { try await locker.acquire(keys, options: options) }
      #expect(attempt.error?.code == .refused, "\(attempt.result)")
      #expect(attempt.error?.message.contains("2^53 - 1") == true)
      #expect(attempt.duration < .seconds(4))
      for key in keys { await eventually { try client("EXISTS", key).integer == 0 } }
    }
    // A detached lock stays as it is.
    try client("SET", "left" + prefix, "left", "PX", "10000")
    let check = DetachedLock(keys: ["left" + prefix], token: "left", fencingToken: 1)
    let adopting = await Attempt { try await locker.adopt(check, options: options) }
    #expect(adopting.error?.message.contains("2^53 - 1") == true, "\(adopting.result)")
    // A waiter gets the same error.
    let key = uniqueKey()
    try client("SET", key, "someone's", "PX", "1000")
    let attempt = await Attempt { try await locker.acquire(key, options: options) }
    #expect(attempt.error?.message.contains("2^53 - 1") == true, "\(attempt.result)")
    try client("DEL", prefix + "fence")
    try await locker.acquire(uniqueKey(), options: options).release()
  }

  @Test("The largest possible fencing token is issued")
  func largestToken() async throws {
    let prefix = uniqueKey("prefix")
    let locker = try await Locker(on: .current) { $0.keyPrefix = prefix }
    try client("SET", prefix + "fence", String(Self.largest - 1))
    let lock = try await locker.acquire(uniqueKey(), options: options)
    #expect(lock.fencingToken == Self.largest)
    try await lock.release()
  }

  @Test(
    "An impossible time to live or count makes an answer of the wrong type",
    arguments: [
      ("-2", "0", true), ("-3", "0", false), ("9007199254740992", "0", true),
      ("9007199254740993", "0", false), ("1000", "2147483647", true),
      ("1000", "2147483648", false), ("1000", "-1", false),
    ])
  func bounds(remaining: String, count: String, isRight: Bool) async throws {
    let answer =
      "*5\r\n\(FakeAnswer.bulkText("holder")):\(remaining)\r\n:\(count)\r\n*0\r\n:0\r\n"
    let server = try FakeServer { command, _, _ in
      command.name == "EVALSHA" ? .send(answer) : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let attempt = await Attempt { try await locker.inspect(uniqueKey()) }
    #expect((attempt.error == nil) == isRight, "\(attempt.result)")
  }

  @Test(
    "An answer that is followed by unsolicited bytes is refused", arguments: [":1\r\n", "+"])
  func surplus(bytes: String) async throws {
    let isHostile = Shared(true)
    let server = try FakeServer { command, _, _ in
      guard command.name == "EVALSHA", isHostile.value else { return nil }
      return .send("*5\r\n\(FakeAnswer.bulkText("holder")):1000\r\n:0\r\n*0\r\n:0\r\n\(bytes)")
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let attempt = await Attempt { try await locker.inspect(uniqueKey()) }
    #expect(attempt.error?.code == .unreachable, "\(attempt.result)")
    isHostile.value = false
    try await locker.acquire(uniqueKey(), options: options).release()
  }

  @Test(
    "If the login gets an answer of the wrong type, connecting fails",
    arguments: ["AUTH", "SELECT"], [":1\r\n", "$2\r\nOK\r\n", "+QUEUED\r\n", "*0\r\n"])
  func login(command name: String, answer: String) async throws {
    let server = try FakeServer { command, _, _ in command.name == name ? .send(answer) : nil }
    defer { server.stop() }
    let attempt = await Attempt {
      try await Locker(url: server.url) {
        $0.password = "password"
        $0.database = 3
        $0.connectTimeout = .milliseconds(200)
      }
    }
    #expect(attempt.error?.code == .unreachable, "\(attempt.result)")
  }
}
