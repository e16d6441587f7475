import AsyncRedisLock
import AsyncRedisLockTesting
import PrivateRedis

/// The store of the locks in a test of the contract.
enum ContractStore: CaseIterable {
  case server
  case memory
  /// A store in memory, with a clock that is advanced by hand.
  case memoryByHand
}

/// Lockers that share a store, and a way to let time pass for them.
struct ContractStage {
  private let memory: InMemoryServer?
  private let clock: ManualClock?

  init(_ store: ContractStore) {
    clock = store == .memoryByHand ? ManualClock() : nil
    memory = store == .server ? nil : InMemoryServer(clock: clock)
  }

  /// Makes another locker.
  func locker(_ change: (inout LockerConfiguration) -> Void = { _ in }) async throws -> Locker {
    guard let memory else { return try await Locker(on: .current, change) }
    var configuration = LockerConfiguration()
    change(&configuration)
    return .inMemory(on: memory, configuration: configuration)
  }

  /// Lets time pass.
  func pass(_ duration: Duration) async throws {
    if let clock {
      try await clock.advance(by: duration)
    } else {
      try await Task.sleep(for: duration)
    }
  }
}
