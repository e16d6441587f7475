import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("The message of a timeout", .timeLimit(.minutes(2)), .redisServer())
struct TimeoutMessageTests {
  private let brief = LockOptions(timeout: .milliseconds(300), ttl: .seconds(30))

  @Test("A timeout names the holder's label, host and process, and the length of the timeout")
  func otherLocker() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let other = try await Locker(on: .current) { $0.label = "billing" }
    let lock = try await other.acquire(key, options: .patient)
    let attempt = await Attempt { try await locker.acquire(key, options: brief) }
    let holder = LockHolder(value: lock.token)
    let host = try #require(holder.host)
    let processID = try #require(holder.processID)
    #expect(
      attempt.error?.message
        == "billing on \(host), process \(processID) held the lock for the whole timeout (300 ms)")
    let text = try #require(attempt.error.map { "\($0)" })
    #expect(!text.contains("[holder:"), "said twice: \(text)")
    #expect(!text.contains(lock.token), "a token in \(text)")
    try await lock.release()
  }

  @Test("A timeout tells that the holder is another task or handle of the same locker")
  func ownLocker() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let lock = try await locker.acquire(key, options: .patient)
    let attempt = await Attempt { try await locker.acquire(key, options: brief) }
    #expect(attempt.error?.code == .timeout)
    #expect(
      attempt.error?.message
        == "another task or handle of this locker held the lock for the whole timeout (300 ms)")
    try await lock.release()
  }

  @Test("A timeout tells that a key never expires, and hides the value of a foreign client")
  func endless() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    try RedisClient(.current)("SET", key, "s3cret-token")
    let attempt = await Attempt { try await locker.acquire(key, options: brief) }
    #expect(attempt.error?.code == .timeout && attempt.error?.holder?.value == "s3cret-token")
    let text = try #require(attempt.error.map { "\($0)" })
    #expect(text.contains("a client of another library held the lock"))
    #expect(text.contains("the key never expires"))
    #expect(!text.contains("s3cret-token"))
    try RedisClient(.current)("DEL", key)
  }

  @Test(
    "If the last poll of a wait gets no answer, the error is unreachable, not timeout",
    .redisServer())
  func silentServer() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let (locker, other) = (try await Locker(on: server), try await Locker(on: server))
    let lock = try await other.acquire(key, options: LockOptions(ttl: .seconds(60)))
    var options = brief
    options.timeout = .seconds(2)
    options.ttl = .seconds(1)
    let waiting = try await queueUp(locker, for: key, options: options)
    // The same for a caller that waits in the process.
    let behind = Task { [options] in try await locker.acquire(key, options: options) }
    await eventually { locker.waiterCount(of: key) == 2 }
    server.pause()
    let first = await Attempt { try await waiting.value }
    let second = await Attempt { try await behind.value }
    server.resume()
    #expect(first.error?.code == .unreachable, "\(first.error?.description ?? "")")
    #expect(second.error?.code == .unreachable, "\(second.error?.description ?? "")")
    try await lock.release()
  }

  @Test(
    "An error of a script is shown without the script's hash",
    arguments: [
      "ERR Error running script (call to f_0123456789abcdef0123456789abcdef01234567): @user_script:3: OOM command not allowed",
      "OOM command not allowed when used memory > 'maxmemory'. script: 0123456789abcdef0123456789abcdef01234567, on @user_script:3.",
    ])
  func scriptHash(_ message: String) {
    let error = ServerError(message: message)
    #expect(error.code == .outOfMemory && error.message.contains("command not allowed"))
    #expect(!error.message.contains("0123456789abcdef"), "\(error.message)")
  }

  @Test(
    "A duration in a message is rounded for people",
    arguments: [
      (.zero, "0 s"), (.microseconds(120), "120 µs"), (.microseconds(85_400), "85 ms"),
      (.milliseconds(4187), "4.2 s"), (.seconds(3), "3 s"), (.seconds(95.4), "95 s"),
      (.milliseconds(-250), "-250 ms"), (.seconds(Int64.max), "more than 10 years"),
      (.seconds(Int64.min), "less than -10 years"),
    ] as [(Duration, String)])
  func rounded(_ duration: Duration, _ text: String) {
    #expect(duration.roundedForMessage == text)
  }
}
