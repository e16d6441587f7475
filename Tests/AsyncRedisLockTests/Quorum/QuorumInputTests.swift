import Testing

@testable import AsyncRedisLock

@Suite("Bad options of a quorum", .timeLimit(.minutes(2)))
struct QuorumInputTests {
  private static let urls = (1...3).map { "redis://:hunter2@10.0.0.\($0)" }

  private func error(
    _ urls: [String] = Self.urls, restartDelay: Duration = .seconds(30),
    _ change: (inout [LockerConfiguration]) -> Void = { _ in }
  ) throws -> LockError? {
    do throws(LockError) {
      var servers = try LockerConfiguration.servers(urls)
      change(&servers)
      try LockerConfiguration.validate(quorum: servers, restartDelay: restartDelay)
      return nil
    } catch {
      #expect(!"\(error)".contains("hunter2"))
      return error
    }
  }

  @Test("From 3 to 9 servers are accepted, if their number is odd", arguments: 0...11)
  func count(_ count: Int) throws {
    let error = try error((0..<count).map { "redis://10.0.0.\($0)" })
    #expect((error == nil) == [3, 5, 7, 9].contains(count))
    if let error {
      #expect(error.code == .invalidOptions)
      #expect(error.message.contains("odd number of servers from 3 to 9, not \(count)"))
    }
  }

  @Test("Servers must be different, single, and have the same options")
  func servers() throws {
    #expect(try error() == nil)
    func message(_ change: (inout [LockerConfiguration]) -> Void) throws -> String {
      let error = try #require(try error(Self.urls, change))
      #expect(error.code == .invalidOptions)
      #expect(!error.isRetryable)
      return error.message
    }
    #expect(
      try message { $0[2].address = $0[0].address }
        == "server 3 of the quorum must not have the address of server 1")
    #expect(
      try message {
        $0[0].address = .tcp(host: "Redis")
        $0[1].address = .tcp(host: "redis")
      } == "server 2 of the quorum must not have the address of server 1")
    #expect(
      try message { $0[1].address = .sentinels([.init(host: "s")], primary: "p") }
        == "server 2 of the quorum must be a server, and neither sentinels nor a cluster")
    #expect(
      try message { $0[1].address = .cluster([.init(host: "s")]) }.contains("nor a cluster"))
    #expect(
      try message { for index in 0..<3 { $0[index].replicaAcknowledgements = 1 } }
        == "replicaAcknowledgements (1) of server 1 of the quorum must be 0")
    #expect(
      try message { $0[2].keyPrefix = "other:" }
        == "keyPrefix of server 3 of the quorum must be the same as that of server 1")
    #expect(try message { $0[1].database = 3 }.hasPrefix("database of server 2"))
    #expect(
      try message { $0[1].isFencingEnabled = false }.hasPrefix("isFencingEnabled of server 2"))
    #expect(
      try message { $0[1].operationTimeout = .zero }
        == "server 2 of the quorum: operationTimeout (0 s) must be at least 1 ms")
    // Each server may have a login of its own.
    #expect(try error { $0[1].password = "other" } == nil)
  }

  @Test("A ttl or a minimum time must not be longer than restartDelay")
  func restartDelay() async throws {
    #expect(
      try error(restartDelay: .seconds(2))?.message
        == "ttl (3 s) must be at most restartDelay (2 s)")
    #expect(try error(restartDelay: .zero) == nil)
    #expect(
      try error(restartDelay: .seconds(-1))?.message
        == "restartDelay (-1 s) must be at least 0 s")
    #expect(
      try error(restartDelay: .seconds(5)) {
        for index in $0.indices { $0[index].lockOptions.minHold = .seconds(6) }
      }?.message == "minHold (6 s) must be at most restartDelay (5 s)")
    let locker = try Locker(
      connectingLazilyTo: try LockerConfiguration.servers(Self.urls), restartDelay: .seconds(5))
    await expectError(.invalidOptions) {
      try await locker.acquire("key", options: LockOptions(ttl: .seconds(6)))
    }
    await expectError(.invalidOptions) {
      try await locker.adopt(
        DetachedLock(keys: ["key"], token: "token", fencingToken: nil),
        options: LockOptions(ttl: .seconds(6)))
    }
    await locker.close()
  }

  @Test("A bad URL is named by its place, and never quoted with its password")
  func urls() throws {
    let error = try #require(try error([Self.urls[0], "redis://:hunter2@host:port", Self.urls[2]]))
    #expect(error.code == .invalidURL)
    #expect(error.message.hasPrefix("server 2 of the quorum: "))
  }
}
