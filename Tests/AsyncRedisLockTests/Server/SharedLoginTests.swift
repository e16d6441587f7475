import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("What streams log in with", .timeLimit(.minutes(1)), .redisServer())
struct SharedLoginTests {
  @Test("Openers that are used once share the limit of calls that hang")
  func sharedLimit() async throws {
    let gate = Gate()
    defer { gate.open() }
    var configuration = try LockerConfiguration(url: RedisServer.current.url)
    configuration.credentials = .init {
      gate.pass()
      return (nil, "pw")
    }
    let machine = HostMachine()
    let login = Login(configuration, connectHook: nil, on: machine)
    var openers: [LoginOpener] = []
    var failures: [TransportError] = []
    for _ in 0..<3 {
      let opener = LoginOpener(over: machine.makeOpener(for: configuration), sharing: login)
      openers.append(opener)
      let result = await withCheckedContinuation { continuation in
        opener.open(by: .now + .milliseconds(300)) { continuation.resume(returning: $0) }
      }
      if case .failure(let failure) = result { failures.append(failure) }
      opener.cancel()
    }
    #expect(gate.count == 2)
    let refusal = "credentials: 2 earlier calls have not returned yet"
    #expect(failures.count == 3 && failures.last == .noCredentials(refusal))
    login.close()
  }
}
