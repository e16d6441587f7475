import Logging
import Testing

@testable import AsyncRedisLock

@Suite("The gate of a quorum", .timeLimit(.minutes(2)))
struct FairGateTests {
  @Test("Calls are let in in the order in which they came; those that have given up are left out")
  func order() throws {
    let gate = FairGate(1)
    #expect(gate.enter() == nil)
    let turns = try (0..<4).map { _ in try #require(gate.enter()) }
    #expect(!gate.endWait(turns[1]), "it has given up")
    gate.leave()
    #expect(turns.map(\.signal.isOver) == [true, false, false, false])
    #expect(gate.endWait(turns[0]))
    gate.leave()
    #expect(turns.map(\.signal.isOver) == [true, false, true, false])
    // It is let in and gives up at the same time: it has to leave, too.
    #expect(gate.endWait(turns[2]))
    gate.leave()
    gate.leave()
    #expect(turns[3].signal.isOver)
    #expect(gate.enter() == nil, "it is free again")
  }

  @Test("A quorum is asked by some calls at a time, and the others wait for their turn")
  func crowd() async throws {
    let quorum = StubQuorum()
    for member in quorum.members { member.mode = .stalled }
    let configuration = try LockerConfiguration(url: "redis://127.0.0.1")
    let locker = Locker(
      configuration, in: quorum.store, storeID: "quorum",
      reporter: Reporter(logger: Logger(label: "quorum"), label: nil))
    let options = LockOptions(timeout: .seconds(20), extend: nil)
    let tasks = (0..<250).map { number in
      Task { try await locker.acquire("key \(number)", options: options) }
    }
    await eventually("some ask") { quorum.members[0].waitingCount == 100 }
    // One of those that wait gives up, and one has no time.
    let cancelled = Task { try await locker.acquire("cancelled", options: options) }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    let late = await Attempt {
      try await locker.acquire("late", options: LockOptions(timeout: .milliseconds(50)))
    }
    #expect(late.error?.code == .unreachable, "\(late)")
    #expect(late.error?.message.contains("other requests of this locker") == true, "\(late)")
    #expect(quorum.members[0].waitingCount == 100)
    for member in quorum.members { member.letGo() }
    var locks: [Lock] = []
    for task in tasks { locks.append(try await task.value) }
    #expect(locks.allSatisfy { $0.isHeld })
    await locker.close()
  }
}
