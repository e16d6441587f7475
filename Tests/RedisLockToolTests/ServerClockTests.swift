#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("The clocks that redis-lock uses", .timeLimit(.minutes(2)))
  struct ServerClockTests {
    @Test("The doctor compares the clocks and finds keys that never expire")
    func doctor() async throws {
      let clock = ClockShim.isAvailable ? try ClockShim() : nil
      let server = try RedisServer(environment: clock?.environment ?? [:])
      defer { server.stop() }
      let fine = try await ToolProcess.run(["doctor"], on: server)
      #expect(
        fine.output.contains("clock: the same as this host's") && !fine.output.contains("expiry"))
      try clock?.set(offset: 120)
      for key in ["job:a", "job:b", "other"] { _ = try RedisClient(server)("SET", key, "theirs") }
      let outcome = try await ToolProcess.run(["doctor", "job:"], on: server)
      if clock != nil { #expect(outcome.output.contains("clock: 2m ahead of this host's")) }
      #expect(
        outcome.output.contains(
          "expiry: 2 of the keys that begin with job: never expire (job:a, job:b)"),
        "\(outcome.output)")
    }

    @Test(
      "Times are those of the server, not of the local host",
      .enabled("The server's clock cannot be set.") { ClockShim.isAvailable })
    func serverTime() async throws {
      let clock = try ClockShim()
      let server = try RedisServer(environment: clock.environment)
      defer { server.stop() }
      let ahead = 7200.0
      try clock.set(offset: Int(ahead))
      let start = Date.now
      let holder = try await ToolProcess.hold("key", on: server)
      func date(_ name: String, in object: Any?) throws -> Date {
        let text = try #require((object as? [String: Any])?[name] as? String)
        return try Date(text, strategy: .iso8601)
      }
      func status() async throws -> Any {
        let status = try await ToolProcess.run(["status", "--json", "key"], on: server)
        return try JSONSerialization.jsonObject(with: Data(status.output.utf8))
      }
      let since = try date("since", in: try await status())
      // The message has whole seconds.
      let possible = start + ahead - 1...Date.now + ahead
      #expect(possible.contains(since), "\(since)")
      let text = try await ToolProcess.run(["status", "key"], on: server)
      let held = try #require(text.output.firstMatch(of: /since [^ ]+ \(([0-9]+)(m?s)\)/))
      #expect(held.2 == "ms" || Int(held.1) ?? .max < 60, "\(text.output)")
      holder.signal(SIGTERM)
      _ = await holder.outcome()
      let last = (try await status() as? [String: Any])?["lastRun"]
      for name in ["from", "until"] { #expect(try date(name, in: last) >= possible.lowerBound) }
    }
  }
#endif
