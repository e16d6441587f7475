import AsyncRedisLock
import PrivateRedis
import Testing

/// Tests tasks that give up while their queues end and new ones begin.
@Suite("Patient tasks beside hasty ones", .redisServer(), .timeLimit(.minutes(3)))
struct HastyNeighbourTests {
  @Test("No task waits in vain in 200,000 acquisitions beside tasks that give up after 1 to 6 ms")
  func noFalseTimeout() async throws {
    let locker = try await Locker()
    let (keys, falseTimeouts) = ((0..<20).map { uniqueKey("\($0)") }, Shared(0))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<80 {
        let key = keys[number % keys.count]
        group.addTask {
          let patient = LockOptions(timeout: .seconds(10))
          for _ in 0..<2500 {
            do {
              try await locker.acquire(key, options: patient).release()
            } catch let error as LockError where error.code == .timeout {
              falseTimeouts.change { $0 += 1 }
            }
          }
        }
      }
      let patientCount = 80
      for number in 0..<40 {
        let key = keys[number % keys.count]
        group.addTask {
          let hasty = LockOptions(timeout: .milliseconds(1 + number % 6))
          while !Task.isCancelled {
            do {
              try await locker.acquire(key, options: hasty).release()
            } catch let error as LockError where [.timeout, .unreachable].contains(error.code) {
              // A busy machine may leave no time for an answer.
              continue
            } catch is CancellationError {
              return
            }
          }
        }
      }
      for _ in 0..<patientCount { try await group.next() }
      group.cancelAll()
    }
    #expect(falseTimeouts.value == 0)
    await locker.close()
  }

  @Test("A task that leads after one with a longer ttl is never granted that ttl")
  func shorterTTL() async throws {
    let (holder, locker, key) = (try await Locker(), try await Locker(), uniqueKey())
    let first = try await holder.acquire(key, options: .patient)
    var long = LockOptions.patient
    long.ttl = .seconds(60)
    let options = long
    let leading = try await queueUp(locker, for: key, options: options)
    let short = LockOptions(timeout: .seconds(20), ttl: .seconds(2), extend: .milliseconds(500))
    let waiting = Task { try await locker.acquire(key, options: short) }
    await eventually { locker.waiterCount(of: key) == 2 }
    leading.cancel()
    _ = await leading.result
    await eventually { try RedisServer.current.queue(of: key).count == 1 }
    try await first.release()
    let lock = try await expectPromptly(waiting)
    #expect(try #require(RedisClient(.current)("PTTL", key).integer) <= 2000)
    try await lock.release()
  }
}
