internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The process in which a value was made, to be told from those that are forked from it.
///
/// A child made by `fork(2)` has copies of all handles and sockets, and none of the threads. A handle that
/// goes out of scope there must not release the lock of the parent, and nothing must be said on the
/// parent's connection.
struct ForkGuard: Sendable {
  private static let forks = Atomic<Int>(0)
  // Cheaper than to ask the system for the number of the process each time.
  private static let isCounting =
    pthread_atfork(nil, nil) { _ = ForkGuard.forks.add(1, ordering: .relaxed) } == 0

  private let generation: Int

  init() {
    _ = Self.isCounting
    generation = Self.forks.load(ordering: .relaxed)
  }

  /// Whether this is the process, and not one that was forked from it.
  var isHere: Bool { generation == Self.forks.load(ordering: .relaxed) }
}
