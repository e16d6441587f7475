import Testing

@testable import AsyncRedisLock

@Suite("The run of a quorum's server", .timeLimit(.minutes(2)))
struct ServerRunTests {
  private let time = HandFiredTime()
  private let known: KnownServerRun

  init() { known = KnownServerRun(clock: LockClock(time)) }

  /// For how long the server has been running for sure when it tells its uptime at a login.
  private func age(_ id: String, uptime: Int) throws -> Duration {
    known.note([.string("# Server\r\nrun_id:\(id)\r\nuptime_in_seconds:\(uptime)\r\n")])
    return try #require(known.current).get().startedBy.duration(to: time.now)
  }

  @Test("A server that takes the place of another one counts as started just then")
  func replaced() throws {
    #expect(try age("a", uptime: 3600) == .seconds(3599))
    #expect(try age("b", uptime: 7200) == .zero, "a spare server knows none of the locks")
    time.present.value = time.now + .seconds(5)
    #expect(try age("b", uptime: 7205) == .seconds(5))
    #expect(try age("a", uptime: 3605) == .zero)
    known.note([.string("")])
    #expect(throws: StoreFailure.self) { try known.current?.get() }
    #expect(try age("b", uptime: 7210) == .zero, "what is not known in between changes nothing")
  }

  @Test("If the server's clock is set while it runs, it counts as no older than before")
  func clockSet() throws {
    #expect(try age("a", uptime: 3) == .seconds(2))
    time.present.value = time.now + .seconds(5)
    #expect(try age("a", uptime: 3600) == .seconds(7))
    // Set back: it has been running at least since it was seen first.
    #expect(try age("a", uptime: 0) == .seconds(5))
    #expect(try age("a", uptime: -3590) == .seconds(5))
  }

  @Test(
    "A server whose clock was set back after its start counts as started when it was seen first")
  func uptimeBelowZero() throws {
    #expect(try age("a", uptime: -3593) == .zero)
    time.present.value = time.now + .seconds(31)
    #expect(try age("a", uptime: -3562) == .seconds(31))
    #expect(try age("b", uptime: .min) == .zero)
    known.note([.string("run_id:c\r\nuptime_in_seconds:none\r\n")])
    #expect(throws: StoreFailure.self) { try known.current?.get() }
  }
}
