#if CommandLineTool
  import AsyncRedisLock
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("The servers that redis-lock doctor asks", .timeLimit(.minutes(2)))
  struct ServersTests {
    private typealias Sentinel = LockerConfiguration.Address.Sentinel

    // MARK: Judged by their answers

    @Test(
      "The doctor judges replicas by their state and their silence",
      arguments: [
        ([], 0, nil),
        ([], 1, .problem),
        (["ip=a,port=1,state=online,offset=14,lag=0"], 0, .fine),
        (["ip=a,port=1,state=online,offset=14,lag=1"], 1, .fine),
        (["ip=a,port=1,state=online,offset=14,lag=0"], 2, .problem),
        (["ip=a,port=1,state=wait_bgsave,offset=0,lag=0"], 0, .warning),
        (["ip=a,port=1,state=online,offset=14,lag=9"], 0, .warning),
        (["ip=a,port=1,state=online,lag=0", "ip=b,port=1,state=online,lag=9"], 1, .warning),
        (["ip=a,port=1,state=online,lag=0", "ip=b,port=1,state=online,lag=9"], 2, .problem),
      ] as [([String], Int, Finding.Level?)])
    func replicas(lines: [String], acknowledgements: Int, level: Finding.Level?) {
      let text = lines.enumerated().map { "slave\($0):\($1)" }.joined(separator: "\r\n")
      let replicas = ServerInformation(text).replicas
      #expect(replicas.count == lines.count)
      #expect(Replica.finding(on: replicas, needing: acknowledgements)?.level == level)
    }

    @Test("With enough acknowledgements, a failover forgets nothing")
    func role() {
      let information = ServerInformation("role:master\r\nconnected_slaves:2")
      #expect(information.findings(saves: nil, acknowledgements: 2).map(\.level) == [.fine])
      let one = information.findings(saves: nil, acknowledgements: 1)
      #expect(one.map(\.level) == [.warning])
      #expect(one[0].text.contains("replica_acknowledgements=2"))
    }

    private func sentinel(
      _ number: Int, _ primary: Reply = .array([.string("10.0.0.1"), .string("6379")]),
      known: Int = 3, quorum: Int = 2, check: Reply = .string("OK 3 usable Sentinels")
    ) -> SentinelReport {
      let fields = ["num-other-sentinels", "\(known - 1)", "quorum", "\(quorum)"]
      return SentinelReport(
        Sentinel(host: "s\(number)"),
        [primary, .array(fields.map { .string($0) }), check, .string("")])
    }

    @Test("The doctor judges sentinels by their answers")
    func sentinels() {
      func levels(_ reports: SentinelReport...) -> [String: Finding] {
        let findings = SentinelReport.findings(on: reports, primary: "locks")
        return Dictionary(uniqueKeysWithValues: findings.map { ($0.subject, $0) })
      }
      let good = levels(sentinel(1), sentinel(2), sentinel(3))
      #expect(good.mapValues(\.level) == ["sentinels": .fine, "quorum": .fine])
      #expect(good["sentinels"]?.text == "3 of 3 name 10.0.0.1:6379")

      let dead = levels(
        sentinel(1), sentinel(2), SentinelReport(Sentinel(host: "s3"), trouble: "refused"))
      #expect(dead["sentinels"]?.level == .warning)
      #expect(dead["sentinels"]?.text.contains("s3:26379: refused") == true)

      let unknowing = levels(sentinel(1), sentinel(2), sentinel(3, .null))
      #expect(unknowing["sentinels"]?.level == .warning)
      #expect(unknowing["sentinels"]?.text.contains("s3:26379 knows no primary locks") == true)

      let other = Reply.array([.string("10.0.0.2"), .string("6379")])
      let torn = levels(sentinel(1), sentinel(2, other), sentinel(3))
      #expect(torn["sentinels"]?.level == .warning)
      #expect(torn["sentinels"]?.text.hasPrefix("they disagree; s1:26379 names 10.0.0.1") == true)
      #expect(
        SentinelReport.primary(of: [sentinel(1), sentinel(2, other), sentinel(3)])
          == .tcp(host: "10.0.0.1"))

      let few = levels(sentinel(1), sentinel(2))
      #expect(few["sentinels"]?.text.contains("there are 3") == true)
      #expect(few["sentinels"]?.level == .warning)

      let pair = levels(sentinel(1, known: 2), sentinel(2, known: 2))
      #expect(pair.mapValues(\.level) == ["sentinels": .fine, "quorum": .warning])

      let short = SentinelReport(Sentinel(host: "s1"), [])
      #expect(levels(short)["sentinels"]?.level == .warning)
      let fields = ["num-other-sentinels", "\(Int.max)"]
      let absurd = SentinelReport(
        Sentinel(host: "s1"), [.null, .array(fields.map { .string($0) }), .string("OK")])
      #expect(absurd.knownCount == nil)
      for reply in [.integer(1), .array([]), .array([.string("h"), .string("99999")])] as [Reply] {
        #expect(sentinel(1, reply).primary == nil)
      }
    }

    @Test("The doctor knows how many replicas a primary of sentinels should need")
    func minimum() {
      func finding(_ count: String, _ lag: String) -> Finding? {
        MinimumOfReplicas(
          [("w", count), ("l", lag)].map { .array([.string($0), .string($1)]) })?.finding
      }
      #expect(finding("0", "10")?.level == .warning)
      #expect(finding("0", "10")?.text.contains("set it to 1") == true)
      #expect(finding("1", "10")?.level == .fine)
      #expect(finding("1", "1")?.level == .warning)
      #expect(finding("x", "1") == nil)
      #expect(MinimumOfReplicas([.null, .null]) == nil)
    }

    @Test("The doctor compares clocks by the middle of the round trip")
    func clocks() {
      let now = Date(timeIntervalSince1970: 1_000_000)
      var report = ClockReport()
      #expect(report.finding == nil)
      report.note(nil, of: "a", after: .zero, at: now)
      #expect(report.finding == nil)
      report.note(999_999_100, of: "b", after: .seconds(2), at: now)
      #expect(report.finding == Finding(.fine, "clocks", "1 other server agrees"))
      report.note(1_000_003_000, of: "c", after: .zero, at: now)
      report.note(999_990_000, of: "d", after: .zero, at: now)
      #expect(report.finding?.level == .warning)
      #expect(
        report.finding?.text.hasPrefix("c is 3s ahead of this host's, d is 10s behind this host's")
          == true)
      #expect(ClockReport.milliseconds(.string("a:1\r\nserver_time_usec:5000\r\n")) == 5)
      #expect(ClockReport.milliseconds(.array([.string("2"), .string("3000")])) == 2003)
      for reply in [nil, .null, .string(""), .array([.string("-1"), .string("0")])] as [Reply?] {
        #expect(ClockReport.milliseconds(reply) == nil)
      }
    }

    // MARK: With real servers

    private func diagnose(
      _ url: String
    ) async throws -> (status: Int32, findings: [String: (level: String, text: String)]) {
      let outcome = try await ToolProcess.run(["doctor", "--json"], url: url)
      var findings: [String: (level: String, text: String)] = [:]
      for line in outcome.output.split(separator: "\n") {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        findings[object?["subject"] ?? ""] = (object?["level"] ?? "", object?["text"] ?? "")
      }
      return (outcome.status, findings)
    }

    @Test("The doctor asks all sentinels and replicas, and finds what is wrong with them")
    func trio() async throws {
      let trio = try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try SentinelTrio() }) }
      }
      defer { trio.stop() }
      async let few = diagnose(trio.url([1, 2]))
      async let all = diagnose(trio.url(query: "replica_acknowledgements=2"))
      let (good, partial) = (try await all, try await few)
      #expect(good.status == 0)
      #expect(good.findings["sentinels"]?.text.hasPrefix("3 of 3 name 127.0.0.1:") == true)
      for subject in ["sentinels", "quorum", "replicas", "role", "clock", "clocks", "trial"] {
        #expect(good.findings[subject]?.level == "fine", "\(good.findings)")
      }
      #expect(good.findings["replicas"]?.text.hasPrefix("2 of 2 in step") == true)
      // Three sentinels and two replicas.
      #expect(good.findings["clocks"]?.text == "5 other servers agree")
      #expect(good.findings["failover"]?.level == "warning")
      #expect(good.findings["certificate"] == nil)
      #expect(partial.findings["sentinels"]?.text.contains("there are 3") == true)

      try trio.client(0)("CONFIG", "SET", "min-replicas-to-write", "1")
      for number in [1, 2] { trio.sentinels[number].kill() }
      await until("the quorum is lost") {
        do {
          try trio.sentinels[0].client()("SENTINEL", "CKQUORUM", SentinelTrio.primaryName)
          return false
        } catch RedisError.server(let text) { return text.hasPrefix("NOQUORUM") }
      }
      let lost = try await diagnose(trio.url())
      #expect(lost.status == 0)
      #expect(lost.findings["failover"]?.level == "fine", "\(lost.findings)")
      #expect(lost.findings["quorum"]?.level == "warning", "\(lost.findings)")
      #expect(lost.findings["quorum"]?.text.contains("NOQUORUM") == true)
      #expect(lost.findings["sentinels"]?.text.hasPrefix("1 of 3 name") == true)
      #expect(lost.findings["clocks"]?.level == "fine", "\(lost.findings)")
    }

    @Test("A command runs only if as many replicas have confirmed the lock as an option says")
    func acknowledgements() async throws {
      let server = try RedisServer(arguments: ["--repl-diskless-sync-delay", "0"], listen: .tcp)
      let replica = try RedisServer()
      defer { for server in [server, replica] { server.stop() } }
      try RedisClient(replica)("REPLICAOF", "127.0.0.1", "\(server.port ?? 0)")
      // The replica itself knows earlier that it is in step.
      await until("the primary counts the replica") {
        try RedisClient(server)("WAIT", "1", "100").integer == 1
      }
      func run(_ count: String) async throws -> ToolProcess.Outcome {
        try await ToolProcess.run(
          ["run", "-n", "--replica-acknowledgements", count, "key", "--", "echo", "run"],
          url: server.url + "?operation_timeout=1s")
      }
      let fine = try await run("1")
      #expect(fine.status == 0 && fine.output == "run\n", "\(fine)")
      let short = try await run("2")
      #expect(short.status == 77 && short.output.isEmpty, "\(short)")
      #expect(short.errors.contains("1 of 2 did"), "\(short)")
      let wrong = try await run("101")
      #expect(wrong.status == 64 && wrong.errors.contains("from 0 to 100"), "\(wrong)")
      #expect(try server.keys().allSatisfy { $0 == "redis-lock:ack" })
    }

    #if TLS
      @Test("The doctor shows a certificate, and warns a month before it ends")
      func certificate() async throws {
        let certificates = try Certificates()
        let names = ["DNS:localhost", "IP:127.0.0.1"]
        async let long = certificate(
          certificates.make("long", names: names, validity: .days(90)), certificates)
        async let short = certificate(
          certificates.make("short", names: names, validity: .days(12)), certificates)
        let (fine, ending) = try await (long, short)
        #expect(fine.level == "fine")
        // As a part of the day has passed since it was made.
        #expect(
          ["89 days left", "90 days left"].contains { fine.text.hasPrefix($0) }, "\(fine.text)")
        for part in [
          "CN=localhost", "issued by CN=authority", "accepted for localhost",
          "DNS:localhost, IP Address:127.0.0.1",
        ] { #expect(fine.text.contains(part), "\(fine.text)") }
        #expect(ending.level == "warning")
        #expect(
          ["11 days left", "12 days left"].contains { ending.text.hasPrefix($0) }, "\(ending.text)")
        #expect(ending.text.contains("renew it"))
      }

      private func certificate(
        _ identity: Certificates.Identity, _ certificates: Certificates
      ) async throws -> (level: String, text: String) {
        let server = try TLSServer(identity, authority: certificates.authority)
        defer { server.plain.stop() }
        let url = server.url("cacert=\(certificates.authority.certificate)")
        return try #require(try await diagnose(url).findings["certificate"])
      }

      @Test("The doctor warns if the certificate of a sentinel ends soon")
      func certificateOfSentinel() async throws {
        let certificates = try Certificates()
        let names = ["DNS:localhost", "IP:127.0.0.1"]
        let long = try certificates.make("long", names: names, validity: .days(90))
        let short = try certificates.make("short", names: names, validity: .days(12))
        let server = try TLSServer(long, authority: certificates.authority)
        defer { server.plain.stop() }
        let port = try freeTCPPort()
        let sentinel = try SentinelServer(configuration: [
          "sentinel monitor locks 127.0.0.1 \(server.port) 1", "tls-port \(port)",
          "tls-cert-file \(short.certificate)", "tls-key-file \(short.key)",
          "tls-ca-cert-file \(certificates.authority.certificate)", "tls-auth-clients no",
        ])
        defer { sentinel.stop() }
        let outcome = try await ToolProcess.run(
          ["doctor"],
          url: "rediss+sentinel://localhost:\(port)/locks?connect_timeout=5"
            + "&cacert=\(certificates.authority.certificate)")
        let lines = outcome.output.split(separator: "\n").filter { $0.contains("days left") }
        #expect(lines.count == 2, "\(outcome)")
        #expect(
          lines.contains { line in
            ["11", "12"].contains { line.contains("sentinel localhost:\(port): \($0) days left") }
          }, "\(outcome)")
      }

      @Test("The built program runs a command under a lock, and shows it, over TLS")
      func overTLS() async throws {
        let certificates = try Certificates()
        let identity = try certificates.make("good", names: ["DNS:localhost"])
        let server = try TLSServer(identity, authority: certificates.authority)
        defer { server.plain.stop() }
        let url = server.url("cacert=\(certificates.authority.certificate)")
        let holder = try ToolProcess(
          ["run", "key", "-c", "echo $REDIS_LOCK_FENCE; read line"], url: url, inputPipe: true)
        await until("the lock is held") { holder.output.hasSuffix("\n") }
        let fence = holder.output.trimmingCharacters(in: .newlines)
        let held = try await ToolProcess.run(["status", "--json", "key"], url: url)
        #expect(held.status == 0 && held.output.contains("\"fencingToken\":\(fence)"), "\(held)")
        #expect(
          try RedisClient(server.plain)("CLIENT", "LIST").string?.contains("name=redis-lock")
            == true)
        try holder.closeInput()
        let ending = await holder.outcome()
        #expect(ending.errors.isEmpty, "\(ending)")
        let free = try await ToolProcess.run(["status", "key"], url: url)
        #expect(free.status == 1, "\(free)")
        // Without a named authority, those of the system count, which OpenSSL finds here.
        let trusted = try await ToolProcess.run(
          ["run", "key", "--", "echo", "run"], url: server.url(),
          through: ["/usr/bin/env", "SSL_CERT_FILE=\(certificates.authority.certificate)"])
        #expect(trusted.status == 0 && trusted.output == "run\n", "\(trusted)")
        // Without the authority, nothing runs, and the reason is told.
        let refused = try await ToolProcess.run(
          ["run", "key", "--", "echo", "run"], url: server.url())
        #expect(refused.status != 0 && refused.output.isEmpty)
        #expect(refused.errors.contains("certificate"), "\(refused)")
      }
    #endif
  }
#endif
