import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("A password that is rotated", .timeLimit(.minutes(2)))
struct RotatedPasswordTests {
  @Test(
    "After a refusal, a login is tried at most once a second, and errors say so", .redisServer())
  func onceASecond() async throws {
    let (server, admin) = (RedisServer.current, RedisClient(.current))
    let name = uniqueKey("user")
    func setPassword(_ password: String) throws {
      try admin(words: [
        "ACL", "SETUSER", name, "on", "resetpass", ">\(password)", "~*", "&*", "+@all",
      ])
    }
    try setPassword("first")
    let locker = try await Locker(on: server) {
      $0.username = name
      $0.password = "first"
    }
    let waiter = try await Locker(on: server).acquire("held", options: .patient)
    // Makes two connections log in.
    await expectError(.timeout) {
      try await locker.acquire("held", options: LockOptions(timeout: .milliseconds(200)))
    }
    let lock = try await locker.acquire(uniqueKey(), options: LockOptions(ttl: .seconds(30)))
    try setPassword("second")
    try admin("CLIENT", "KILL", "USER", name)
    let before = try server.calls("auth")
    let start = ContinuousClock.now
    var messages: Set<String> = []
    while ContinuousClock.now - start < .milliseconds(1500) {
      let attempt = await Attempt { try await locker.acquireIfAvailable(uniqueKey()) }
      #expect(attempt.error?.code == .refused && attempt.error?.serverCode == "WRONGPASS")
      messages.insert(attempt.error?.message ?? "")
      await Task.yield()
    }
    let most = Int((ContinuousClock.now - start) / .seconds(1)) + 2
    #expect(try server.calls("auth") - before <= most)
    #expect(messages.contains { $0.contains("the client logs in at most once a second") })
    #expect(messages.allSatisfy { !$0.contains("first") })
    try setPassword("first")
    await eventually { (try? await locker.ping()) != nil }
    #expect(lock.isHeld)
    try await lock.release()
    try await waiter.release()
  }

  @Test("After a refusal, the gate lets one login a second through; after a success, all")
  func gate() {
    let (gate, start) = (LoginGate(), Instant.now)
    #expect(gate.admit(at: start) == .go && gate.admit(at: start) == .go)
    gate.refused(ServerError(message: "WRONGPASS no"), at: start)
    guard case .wait(let instant, let error) = gate.admit(at: start + .milliseconds(400)) else {
      Issue.record("let through")
      return
    }
    #expect(instant == start + .seconds(1))
    #expect(
      error.message
        == "WRONGPASS no (400 ms ago; the client logs in at most once a second)")
    #expect(error.code == .wrongPass)
    #expect(gate.refusal(at: start + .milliseconds(999)) != nil)
    #expect(gate.refusal(at: start + .seconds(1)) == nil)
    #expect(gate.admit(at: start + .seconds(1)) == .go)
    #expect(gate.admit(at: start + .milliseconds(1500)) != .go, "one login uses up its second")
    gate.opened()
    #expect(gate.admit(at: start + .milliseconds(1500)) == .go)
  }
}
