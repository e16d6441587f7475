import ChaosLog
import Logging
import PrivateRedis
import Synchronization
import Testing

@testable import AsyncRedisLock

/// The thread that serves the connection calls the completions, and no other thread can serve it meanwhile.
///
/// So a completion must not wait for the connection.
@Suite("The completions of a connection", .redisServer(), .timeLimit(.minutes(1)))
struct CompletionTests {
  private func makeConnection(to server: RedisServer = .current) throws -> Connection {
    try Connection(
      LockerConfiguration(url: server.url),
      reporter: Reporter(logger: Logger(label: "completions"), label: nil))
  }

  private func request(
    within patience: Duration = .seconds(10), isAwaited: Bool = false,
    completion: @escaping @Sendable (Result<Request.Answer, TransportError>) -> Void
  ) -> Request {
    Request(
      [Command("INCR", "count")], deadline: .now + patience, isAwaited: isAwaited,
      completion: completion)
  }

  @Test("A completion submits the next request, whichever thread serves the connection")
  func chain() async throws {
    let (connection, key, end) = (try makeConnection(), uniqueKey(), Promise<Void>())
    @Sendable func submit(_ number: Int) {
      let request = Request(
        [Command("INCR", key)], deadline: .now + .seconds(10), isAwaited: number % 3 != 0
      ) { result in
        #expect((try? result.get())?.replies == [.integer(Int64(number))])
        if number < 2_000 { submit(number + 1) } else { end.fulfil(()) }
      }
      connection.submit(request)
    }
    submit(1)
    await end.value
    connection.close()
    await connection.ended.value
  }

  @Test("A completion of a failure can submit requests, give others up, and close")
  func failures() async throws {
    let server = try RedisServer()
    defer { server.stop() }
    let connection = try makeConnection(to: server)
    let hasWorked = Promise<Void>()
    connection.submit(request { _ in hasWorked.fulfil(()) })
    await hasWorked.value
    server.pause()
    let (failures, end) = (Shared(0), Promise<Void>())
    let other = request { result in
      if case .failure = result { failures.change { $0 += 1 } }
    }
    let second = request(within: .milliseconds(100), isAwaited: true) { result in
      if case .failure = result { failures.change { $0 += 1 } }
      connection.abandon(other)
      connection.close()
      end.fulfil(())
    }
    let first = request(within: .milliseconds(50), isAwaited: true) { result in
      if case .failure = result { failures.change { $0 += 1 } }
      connection.submit(second)
      connection.submit(other)
    }
    connection.submit(first)
    await end.value
    await eventually("all have failed") { failures.value == 3 }
    server.resume()
    await connection.ended.value
  }

  @Test("A retry after a pause does not wait for a socket that is being opened")
  func pauseWhileOpening() async throws {
    let listener = try FullListener()
    var configuration = try LockerConfiguration(url: listener.url)
    configuration.connectTimeout = .seconds(20)
    let connection = try Connection(
      configuration, reporter: Reporter(logger: Logger(label: "completions"), label: nil))
    let hasFailed = Shared(false)
    connection.submit(request(within: .milliseconds(100)) { _ in hasFailed.value = true })
    await eventually("it is being opened") { hasFailed.value }
    let isOver = Shared(false)
    connection.afterPause(.milliseconds(10)) { isOver.value = true }
    await eventually("the pause is over") { isOver.value }
    connection.close()
  }

  @Test("Each request is completed once, whatever ends it first")
  func once() async throws {
    let connection = try makeConnection()
    var generator = SplitMix(seed: 16)
    let counts = (0..<5_000).map { _ in Shared(0) }
    for (number, count) in counts.enumerated() {
      let patience = Duration.microseconds(Int.random(in: 0...3_000, using: &generator))
      let request = request(within: patience, isAwaited: number % 5 == 0) { _ in
        count.change { $0 += 1 }
      }
      connection.submit(request)
      if number % 3 == 0 { Task { connection.abandon(request) } }
      if number % 100 == 0 { await Task.yield() }
      if number == 4_900 { connection.stop() }
    }
    connection.close()
    await connection.ended.value
    await eventually("all are completed") { counts.allSatisfy { $0.value > 0 } }
    #expect(counts.allSatisfy { $0.value == 1 })
  }
}
