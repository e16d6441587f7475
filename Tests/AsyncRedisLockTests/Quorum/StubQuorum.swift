@testable import AsyncRedisLock

/// A quorum of three members in memory.
struct StubQuorum {
  let members: [QuorumMemberStub]
  let store: QuorumStore

  init(restartDelay: Duration = .seconds(30), clock: LockClock = .system) {
    let numbers = Shared(0)
    members = (0..<3).map {
      QuorumMemberStub("server \($0)", counter: UInt64($0) * 100, clock: clock)
    }
    store = QuorumStore(
      members, restartDelay: restartDelay, operationTimeout: .seconds(5),
      lockerID: "0123456789abcdef"
    ) { _ in
      numbers.change { $0 += 1 }
      return "rl1s:\(numbers.value)"
    }
  }

  func claim(_ key: String = "key") -> Claim {
    Claim(keys: [key], token: store.makeToken(for: [key], label: nil), ttl: .seconds(10))
  }

  func acquire(_ claim: Claim) async throws -> Acquisition {
    try await store.acquire(claim, numbers: 1, by: .now + .seconds(5))
  }

  func adopt(
    _ claim: Claim, from token: String, within limit: Duration = .seconds(5)
  ) async throws -> Acquisition {
    try await store.adopt(claim, from: token, numbers: 1, by: .now + limit)
  }

  /// What each member has under a key.
  func holders(of key: String) -> [String?] { members.map { $0.holders[key] } }

  var holders: [String?] { holders(of: "key") }

  func lease(_ claim: Claim, extend: Duration? = nil) -> Lease {
    Lease(
      claim, numbers: 0..<0,
      state: LeaseState(ttl: claim.ttl, extend: extend, sentAt: .now), minHold: .zero,
      clock: .system, origin: .asked, onLoss: { _ in })
  }

  func release(_ claim: Claim) async -> Result<ReleaseReport, StoreFailure> {
    let promise = Promise<Result<ReleaseReport, StoreFailure>>()
    store.release(
      Release(
        claim: claim, validUntil: .now, keysLastUntil: .now + .seconds(10), wasValid: true,
        isRepetition: false, isAwaited: true, keptUntil: nil, hasQueued: false),
      by: .now + .seconds(5)
    ) { promise.fulfil($0) }
    return await promise.value
  }

  /// Extends leases in one request, of which the first ends at an instant.
  func extend(
    _ claims: [Claim], end: Instant = .now
  ) async -> Result<Extended, StoreFailure> {
    let promise = Promise<Result<Extended, StoreFailure>>()
    store.extend(
      claims.map { Extension(lease($0), ttl: $0.ttl, leaseEnd: end) }, numbers: 0,
      by: .now + .seconds(5)
    ) { promise.fulfil($0) }
    return await promise.value
  }
}
