#if TLS
  import AsyncRedisLock
  import FaultProxy
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("A server with TLS", .timeLimit(.minutes(3)), .serialized)
  struct TLSTests {
    private let certificates: Certificates
    private let good: Certificates.Identity

    init() throws {
      certificates = try Certificates()
      good = try certificates.make("good", names: ["DNS:localhost", "IP:127.0.0.1"])
    }

    private var trusting: String { "cacert=\(certificates.authority.certificate)" }

    // MARK: What works

    @Test("Locks are taken, extended, waited for and handed on", arguments: ["TLSv1.2", "TLSv1.3"])
    func works(version: String) async throws {
      let server = try TLSServer(
        good, authority: certificates.authority, arguments: ["--tls-protocols", version])
      let options = LockOptions(
        retry: .seconds(3600), timeout: .seconds(30), ttl: .milliseconds(900),
        extend: .milliseconds(100))
      let (first, second) = (
        try await Locker(url: server.url(trusting)),
        try await Locker(url: server.url(host: "127.0.0.1", trusting))
      )
      let lock = try await first.acquire("key", options: options)
      let end = ContinuousClock.now + lock.remaining
      let waiter = Task { try await second.acquire("key", options: options) }
      let client = RedisClient(server.plain)
      await eventually { try client("ZCARD", "redis-lock:queue:{key}") == .integer(1) }
      await eventually { ContinuousClock.now > end }
      #expect(lock.isHeld)
      let released = ContinuousClock.now
      #expect(try await lock.release() == .released)
      let next = try await waiter.value
      #expect(released.duration(to: .now) < .seconds(1))
      #expect(try await next.release() == .released)
      await first.close()
      await second.close()
    }

    @Test("With sentinels, the connections to them and to the primary are encrypted and verified")
    func sentinels() async throws {
      let server = try TLSServer(good, authority: certificates.authority)
      let port = try freeTCPPort()
      let sentinel = try SentinelServer(configuration: [
        "sentinel monitor locks 127.0.0.1 \(server.port) 1", "tls-port \(port)",
        "tls-cert-file \(good.certificate)", "tls-key-file \(good.key)",
        "tls-ca-cert-file \(certificates.authority.certificate)", "tls-auth-clients no",
      ])
      defer { sentinel.stop() }
      let url = "rediss+sentinel://localhost:\(port)/locks?connect_timeout=5"
      try await use("\(url)&\(trusting)")
      let stranger = try certificates.makeAuthority("stranger")
      await expectError(.tlsFailed) {
        try await Locker(url: "\(url)&cacert=\(stranger.certificate)")
      }
    }

    @Test("A client with a certificate of its own is let in")
    func clientCertificate() async throws {
      let server = try TLSServer(good, authority: certificates.authority, asksClients: true)
      let own = try certificates.make("client", names: ["DNS:client"])
      try await use(server.url("\(trusting)&cert=\(own.certificate)&key=\(own.key)"))
    }

    @Test(
      "The name that was set counts, also for a wildcard",
      arguments: ["a.example.test", "a.example.test."])
    func wildcard(name: String) async throws {
      let identity = try certificates.make("wildcard", names: ["DNS:*.example.test"])
      let server = try TLSServer(identity, authority: certificates.authority)
      try await use(server.url("\(trusting)&sni=\(name)"))
    }

    @Test("Certificates that are renewed count for the next connection")
    func renewed() async throws {
      let server = try TLSServer(good, authority: certificates.authority)
      let path = certificates.directory + "/trusted.pem"
      let other = try certificates.makeAuthority("other")
      try FileManager.default.copyItem(atPath: other.certificate, toPath: path)
      let locker = try Locker(connectingLazilyTo: server.url("cacert=\(path)"))
      await expectError(.tlsFailed) { try await locker.ping() }
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.copyItem(atPath: certificates.authority.certificate, toPath: path)
      await eventually {
        try await locker.ping()
        return true
      }
      try await locker.acquire("key").release()
    }

    // MARK: What is refused

    /// A certificate that must not be accepted, and a word of the error.
    struct Refused: Sendable, CustomTestStringConvertible {
      let names: [String]
      var validity = Certificates.Validity.now
      var query = ""
      var host = "localhost"
      let word: String

      var testDescription: String { "\(names) \(validity) \(host) \(query): \(word)" }
    }

    static let badCertificates = [
      Refused(names: ["DNS:localhost"], validity: .past, word: "expired"),
      Refused(names: ["DNS:localhost"], validity: .future, word: "not yet valid"),
      Refused(names: ["DNS:example.test"], word: "hostname mismatch"),
      Refused(names: ["DNS:localhost"], host: "127.0.0.1", word: "IP address mismatch"),
      Refused(names: ["IP:127.0.0.2"], host: "127.0.0.1", word: "IP address mismatch"),
      Refused(names: [], word: "hostname mismatch"),
      Refused(names: ["IP:127.0.0.1"], word: "hostname mismatch"),
      Refused(
        names: ["DNS:*.example.test"], query: "sni=a.b.example.test", word: "hostname mismatch"),
      Refused(
        names: ["DNS:f*.example.test"], query: "sni=foo.example.test", word: "hostname mismatch"),
      Refused(names: ["DNS:*.example.test"], query: "sni=example.test", word: "hostname mismatch"),
      Refused(names: ["DNS:localhost"], query: "sni=example.test", word: "hostname mismatch"),
    ]

    @Test(
      "A certificate that does not prove the server's identity is refused",
      arguments: badCertificates)
    func refused(row: Refused) async throws {
      let identity = try certificates.make("bad", names: row.names, validity: row.validity)
      let server = try TLSServer(identity, authority: certificates.authority)
      try await expectFailure(
        server.url(host: row.host, "\(trusting)&\(row.query.isEmpty ? "db=0" : row.query)"),
        row.word)
    }

    @Test("An authority that is not trusted proves nothing", arguments: [true, false])
    func unknownAuthority(isNamed: Bool) async throws {
      let server = try TLSServer(good, authority: certificates.authority)
      let other = try certificates.makeAuthority("other")
      try await expectFailure(
        server.url(isNamed ? "cacert=\(other.certificate)" : ""), "certificate")
    }

    @Test("A chain without its middle is refused, and the whole one is accepted")
    func chain() async throws {
      let middle = try certificates.make("middle", names: [], isAuthority: true)
      let leaf = try certificates.make("leaf", names: ["DNS:localhost"], signedBy: middle)
      let cut = try TLSServer(leaf, authority: certificates.authority)
      try await expectFailure(cut.url(trusting), "unable to get local issuer certificate")
      let parts = try [leaf, middle].map {
        try String(contentsOfFile: $0.certificate, encoding: .utf8)
      }
      try parts.joined().write(toFile: leaf.certificate, atomically: false, encoding: .utf8)
      let whole = try TLSServer(leaf, authority: certificates.authority)
      try await use(whole.url(trusting))
    }

    @Test(
      "A server that wants a certificate of the client says so", arguments: ["TLSv1.2", "TLSv1.3"])
    func missingClientCertificate(version: String) async throws {
      let server = try TLSServer(
        good, authority: certificates.authority, asksClients: true,
        arguments: ["--tls-protocols", version])
      try await expectFailure(
        server.url(trusting), version == "TLSv1.3" ? "certificate required" : "alert")
      let stranger = try certificates.make(
        "stranger", names: ["DNS:client"], signedBy: certificates.makeAuthority("other"))
      try await expectFailure(
        server.url("\(trusting)&cert=\(stranger.certificate)&key=\(stranger.key)"), "unknown ca")
    }

    @Test("Files that cannot be used are named")
    func files() async throws {
      let server = try TLSServer(good, authority: certificates.authority, asksClients: true)
      let locked = try certificates.make("locked", names: ["DNS:client"], passphrase: "secret")
      let other = try certificates.make("another", names: ["DNS:client"])
      let cut = certificates.directory + "/cut.pem"
      let text = try String(contentsOfFile: other.certificate, encoding: .utf8)
      try String(text.prefix(text.count / 2)).write(toFile: cut, atomically: false, encoding: .utf8)
      let missing = certificates.directory + "/missing.pem"
      for (query, word) in [
        ("cacert=\(missing)", "missing.pem"), ("cacert=\(cut)", "cut.pem"),
        ("\(trusting)&cert=\(cut)&key=\(other.key)", "cut.pem"),
        ("\(trusting)&cert=\(other.certificate)&key=\(missing)", "missing.pem"),
        ("\(trusting)&cert=\(other.certificate)&key=\(good.key)", "key values mismatch"),
        ("\(trusting)&cert=\(locked.certificate)&key=\(locked.key)", "without a passphrase"),
      ] {
        try await expectFailure(server.url(query), word)
      }
    }

    @Test(
      "What is no regular file is refused without waiting for it, and a file in its place counts")
    func pipes() async throws {
      let server = try TLSServer(good, authority: certificates.authority, asksClients: true)
      let own = try certificates.make("client", names: ["DNS:client"])
      let pipe = certificates.directory + "/pipe.pem"
      try #require(unsafe mkfifo(pipe, 0o600) == 0)
      for query in [
        "cacert=\(pipe)", "\(trusting)&cert=\(pipe)&key=\(own.key)",
        "\(trusting)&cert=\(own.certificate)&key=\(pipe)",
      ] {
        try await expectFailure(server.url(query), "pipe.pem\", which must be a regular file")
      }
      for path in [certificates.directory, "/dev/zero"] {
        try await expectFailure(server.url("cacert=\(path)"), "must be a regular file")
      }
      let url = server.url("cacert=\(pipe)&cert=\(own.certificate)&key=\(own.key)")
      let locker = try Locker(connectingLazilyTo: url)
      await expectError(.tlsFailed) { try await locker.ping() }
      try FileManager.default.removeItem(atPath: pipe)
      try FileManager.default.copyItem(atPath: certificates.authority.certificate, toPath: pipe)
      await eventually { try await locker.ping() >= .zero }
    }

    @Test("A port without TLS is told from one with")
    func plainPort() async throws {
      let plain = try RedisServer(listen: .tcp)
      let port = try #require(plain.port)
      let attempt = await Attempt {
        try await Locker(url: "rediss://127.0.0.1:\(port)/?connect_timeout=300ms")
      }
      #expect(attempt.error?.message.contains("is this a TLS port?") == true, "\(attempt.result)")
    }

    @Test("A peer that says nothing costs no more than the connect timeout")
    func silentPeer() async throws {
      let wires = Recorder<FakeWire>()
      let silent = try FakeListener(.tcp) { wires.record($0) }
      defer { silent.stop() }
      let url = silent.address.url.replacing("redis:", with: "rediss:")
      let attempt = await Attempt { try await Locker(url: url + "/?connect_timeout=300ms") }
      #expect(attempt.error?.code == .unreachable)
      #expect(attempt.error?.message.contains("is this a TLS port?") == true)
      #expect(attempt.duration >= .milliseconds(300) && attempt.duration < .inTime)
    }

    @Test(
      "A peer that hangs up or resets anywhere in the handshake is survived",
      arguments: [true, false])
    func brokenHandshake(isReset: Bool) async throws {
      let server = try TLSServer(good, authority: certificates.authority)
      let proxy = try CuttingProxy(to: UInt16(server.port), isReset: isReset)
      defer { proxy.stop() }
      let url = "rediss://localhost:\(proxy.port)/?\(trusting)"
      // The server's part of the handshake is about 1 KiB.
      for count in Array(0...16) + Array(stride(from: 17, to: 1500, by: 61)) {
        proxy.cut(after: count)
        let attempt = await Attempt { try await Locker(url: url + "&connect_timeout=100ms") }
        #expect(attempt.duration < .inTime)
        #expect(
          attempt.value != nil || attempt.error?.code == .unreachable, "\(count): \(attempt.result)"
        )
      }
      proxy.cut(after: .max)
      try await use(url + "&connect_timeout=5")
    }

    @Test("A URL with TLS and a password shows none of it in an error")
    func secret() async throws {
      let server = try TLSServer(good, authority: certificates.authority)
      let url = server.url().replacing("rediss://", with: "rediss://user:hunter2@")
      let attempt = await Attempt { try await Locker(url: url) }
      #expect(attempt.error?.code == .tlsFailed)
      #expect(!"\(attempt.result)".contains("hunter2"))
    }

    // MARK: Helpers

    private func use(_ url: String) async throws {
      let locker = try await Locker(url: url)
      try await locker.withLock("key") { _ in }
      await locker.close()
    }

    /// Expects that TLS fails, with a word in the message, and at once.
    private func expectFailure(
      _ url: String, _ word: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
      let attempt = await Attempt { try await Locker(url: url) }
      #expect(
        attempt.error?.code == .tlsFailed, "\(attempt.result)", sourceLocation: sourceLocation)
      #expect(attempt.error?.isRetryable == false, sourceLocation: sourceLocation)
      #expect(
        attempt.error?.message.contains(word) == true, "\(attempt.result)",
        sourceLocation: sourceLocation)
      #expect(attempt.duration < .inTime, sourceLocation: sourceLocation)
    }
  }
#endif
