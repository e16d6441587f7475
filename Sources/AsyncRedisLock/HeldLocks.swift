/// The locks that the present task holds by `withLock`, so that it does not wait for itself.
struct HeldLocks: Sendable {
  /// The locks of the task that runs the innermost body; its child tasks inherit this too, and hold
  /// nothing.
  @TaskLocal static var inherited = HeldLocks(owner: nil, leases: [])

  private let owner: Int?
  private let leases: [Lease]

  private init(owner: Int?, leases: [Lease]) {
    self.owner = owner
    self.leases = leases
  }

  /// What the task that asks holds itself.
  static var current: HeldLocks {
    let inherited = inherited
    guard inherited.owner != nil, inherited.owner == taskIdentity else {
      return HeldLocks(owner: nil, leases: [])
    }
    return inherited
  }

  /// The same with one more lock, held by the task that asks.
  func adding(_ lease: Lease) -> HeldLocks {
    HeldLocks(owner: Self.taskIdentity, leases: leases.filter { $0.isHeld } + [lease])
  }

  /// Checks that none of the keys is held.
  ///
  /// - Throws: ``LockError/Code/wouldDeadlock``.
  func check(_ keys: [String], of coordinator: Coordinator) throws(LockError) {
    guard !leases.isEmpty else { return }
    for lease in leases where lease.isHeld {
      guard let key = lease.claim.keys.first(where: keys.contains) else { continue }
      throw LockError(
        .wouldDeadlock,
        "the task holds \(key.abbreviatedForMessage) already, and would wait for itself",
        keys: keys, phase: .acquire)
    }
  }

  private static var taskIdentity: Int? {
    unsafe withUnsafeCurrentTask { task in unsafe task?.hashValue }
  }
}
