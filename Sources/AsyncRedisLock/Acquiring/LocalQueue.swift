/// The task that has or requests some keys, and the tasks of this process that wait for them.
///
/// Only ``LocalQueues`` uses it, under its mutex. An object, so that nothing of it is copied when it is looked up.
final class LocalQueue {
  /// The party that has the keys or is about to get them.
  enum Head {
    /// One task asks the server, with an entry in its queue if that was needed.
    case leader(QueueEntry?)
    case held(Lease)
  }

  var head = Head.leader(nil)
  var line = LinkedQueue<LocalWaiter>()
  /// How often the lease was handed on in a row.
  var handoffs = 0
  /// Why the leader's last request got no answer.
  var trouble: StoreFailure?

  /// Admits a task that is not the first.
  func admit(
    _ options: LockOptions, isReturning: Bool, maxWaiters: Int, handoffLimit: Int
  ) -> LocalQueues.Admission {
    guard isReturning || count < maxWaiters else { return .full }
    let waiter = LocalWaiter(options)
    let ticket = isReturning ? line.prepend(waiter) : line.append(waiter)
    return .wait(waiter, ticket, drawFor: leaseToDrawFor(handoffLimit))
  }

  /// How many tasks wait, including the leader.
  var count: Int {
    if case .leader = head { line.count + 1 } else { line.count }
  }

  /// The leader's entry in the server's queue.
  var entry: QueueEntry? {
    if case .leader(let entry) = head { entry } else { nil }
  }

  /// Whether a lease has the keys.
  func isHeld(by lease: Lease) -> Bool {
    if case .held(let holder) = head { holder === lease } else { false }
  }

  /// The lease that may be handed on, and needs numbers for that.
  func leaseToDrawFor(_ handoffLimit: Int) -> Lease? {
    guard !line.isEmpty, handoffs < handoffLimit, case .held(let lease) = head else { return nil }
    return lease
  }
}
