internal import Synchronization

/// The locks that the present task holds by `withLock`, so that it does not wait for itself.
struct HeldLocks: Sendable {
  /// A task that runs a body.
  private final class Owner: Sendable {
    /// The address of the task, which is its own only while the body runs.
    let identity: Int?
    let hasEnded = Atomic<Bool>(false)

    init(_ identity: Int?) { self.identity = identity }
  }

  /// The locks of the task that runs the innermost body.
  ///
  /// Its child tasks inherit this value too, but hold nothing.
  @TaskLocal static var inherited = HeldLocks(owner: nil, held: [])

  /// A lock, and the server and database that it is on.
  private struct Held {
    let lease: Lease
    let storeID: String
  }

  private let owner: Owner?
  private let held: [Held]

  private init(owner: Owner?, held: [Held]) {
    self.owner = owner
    self.held = held
  }

  /// The locks that the calling task holds itself.
  static var current: HeldLocks {
    let inherited = inherited
    guard let owner = inherited.owner, let identity = owner.identity, identity == taskIdentity,
      !owner.hasEnded.load(ordering: .relaxed)
    else { return HeldLocks(owner: nil, held: []) }
    return inherited
  }

  /// Notes that the body of the owner has ended.
  ///
  /// Tasks that it has left behind still inherit this value, and one of them may get the address of the owner.
  func ownerEnds() { owner?.hasEnded.store(true, ordering: .relaxed) }

  /// Whether there are none, as for most tasks.
  var isEmpty: Bool { held.isEmpty }

  /// The same with one more lock, held by the calling task.
  func adding(_ lease: Lease, in storeID: String) -> HeldLocks {
    let stillHeld = held.filter { $0.lease.isHeld }
    return HeldLocks(
      owner: Owner(Self.taskIdentity), held: stillHeld + [Held(lease: lease, storeID: storeID)])
  }

  /// Checks that none of the keys is held.
  ///
  /// - Throws: ``LockError/Code/wouldDeadlock``.
  func check(_ keys: [String], in storeID: String) throws(LockError) {
    for one in held where one.storeID == storeID && one.lease.isHeld {
      // Byte by byte, as the server does.
      let key = keys.first { key in
        one.lease.claim.keys.contains { $0.utf8.elementsEqual(key.utf8) }
      }
      guard let key else { continue }
      throw LockError(
        .wouldDeadlock,
        "the task already holds \(key.abbreviatedForMessage) and would wait for itself",
        keys: keys, phase: .acquire)
    }
  }

  /// Checks that none of the leases is held.
  ///
  /// - Throws: ``LockError/Code/wouldDeadlock``.
  func checkNone(of leases: [Lease]) throws(LockError) {
    for one in held where one.lease.isHeld && leases.contains(where: { $0 === one.lease }) {
      throw LockError(
        .wouldDeadlock, "the task holds a lock itself, and would wait for its own release",
        keys: one.lease.claim.keys)
    }
  }

  private static var taskIdentity: Int? {
    unsafe withUnsafeCurrentTask { task in unsafe task?.hashValue }
  }
}
