#if TLS
  import PrivateRedis
  import Testing

  @testable import AsyncRedisLock

  @Suite("Access to a cluster with TLS and passwords", .timeLimit(.minutes(2)))
  struct ClusterAccessTests {
    private let certificates: Certificates
    private let cluster: PrivateCluster

    init() async throws {
      let certificates = try Certificates()
      let good = try certificates.make("good", names: ["IP:127.0.0.1"])
      self.certificates = certificates
      cluster = try await onThread {
        try PrivateCluster(good, authority: certificates.authority, password: "first")
      }
    }

    private var url: String {
      cluster.url(scheme: "rediss+cluster") + "?cacert=\(certificates.authority.certificate)"
    }

    /// A new key of a master.
    private func key(at master: Int) throws -> String {
      while true {
        let key = uniqueKey("k")
        if try cluster.owner(of: key) == master { return key }
      }
    }

    /// Lets a lock be handed on at each master; returns the keys.
    @discardableResult
    private func handOn(from first: Locker, to second: Locker) async throws -> [String] {
      var keys: [String] = []
      for master in 0..<3 {
        let key = try self.key(at: master)
        keys.append(key)
        let lock = try await first.acquire(key, options: .patient)
        async let waiting = second.acquire(key, options: .patient)
        await eventually("the other locker waits") {
          try await first.inspect(key)?.waiterCount == 1
        }
        #expect(try await lock.release() == .released)
        let next = try await waiting
        #expect(try #require(next.fencingToken) > #require(lock.fencingToken))
        #expect(try await next.release() == .released)
      }
      return keys
    }

    @Test(
      "Locks of all masters are handed on over TLS, also while a slot moves; strangers are refused")
    func encrypted() async throws {
      let (first, second) = (try await Locker(url: url), try await Locker(url: url))
      let keys = try await handOn(from: first, to: second)
      let options = LockOptions(
        timeout: .seconds(20), ttl: .seconds(3), extend: .milliseconds(100))
      let kept = try await first.acquire(keys[0], options: options)
      try await onThread { try cluster.move(cluster.slot(of: keys[0]), from: 0, to: 1) }
      let end = kept.lease.state.validUntil
      await eventually("the lock is extended at its new master") {
        kept.isHeld && kept.lease.state.validUntil > end + .milliseconds(200)
      }
      try await handOn(from: second, to: first)
      #expect(try await kept.release() == .released)
      // None of the lockers' connections is at a port without TLS.
      for number in 0..<3 {
        let clients = try cluster.client(number)("CLIENT", "LIST").string ?? ""
        let lockers = clients.split(separator: "\n").filter { $0.contains("name=async-redis-lock") }
        #expect(!lockers.isEmpty, "\(clients)")
        #expect(!lockers.contains { $0.contains("laddr=127.0.0.1:\(cluster.port(of: number)) ") })
      }
      let stranger = try certificates.makeAuthority("stranger")
      await expectError(.tlsFailed) {
        try await Locker(
          url: cluster.url(scheme: "rediss+cluster") + "?cacert=\(stranger.certificate)")
      }
      for locker in [first, second] { await locker.close() }
    }

    @Test(
      "A password that changes on all nodes is asked for at each connection, and locks are kept")
    func rotated() async throws {
      let password = Shared("first")
      var configuration = try LockerConfiguration(url: url)
      configuration.password = nil
      configuration.credentials = .init { ("default", Password(password.value)) }
      let locker = try await Locker(configuration: configuration)
      let key = uniqueKey("k")
      let lock = try await locker.acquire(key, options: LockOptions(extend: .milliseconds(200)))
      password.value = "second"
      for server in cluster.servers {
        let client = RedisClient(server)
        try client("AUTH", "first")
        try client("CONFIG", "SET", "requirepass", "second", "masterauth", "second")
        try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      }
      let end = lock.lease.state.validUntil
      await eventually(within: .seconds(10), "the lock is extended") {
        lock.isHeld && lock.lease.state.validUntil > end + .milliseconds(400)
      }
      #expect(try await lock.release() == .released)
      // Also at masters that have had no connection yet.
      let other = try await Locker(configuration: configuration)
      for number in 0..<9 {
        let lock = try await other.acquire(uniqueKey("k\(number)"))
        #expect(try await lock.release() == .released)
      }
      for locker in [locker, other] { await locker.close() }
    }
  }
#endif
