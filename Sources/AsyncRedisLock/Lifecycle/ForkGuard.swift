internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The process in which a value was created, to be told from its forked children.
///
/// A child made by `fork(2)` has copies of all handles and sockets, and none of the threads. If a handle goes out
/// of scope there, it must not release the parent's lock, and must send nothing on the parent's connection.
struct ForkGuard: Sendable {
  private static let forks = Atomic<Int>(0)
  // Cheaper than asking the system for the process id each time.
  private static let isCounting =
    pthread_atfork(nil, nil) { _ = ForkGuard.forks.add(1, ordering: .relaxed) } == 0

  private let generation: Int

  init() {
    _ = Self.isCounting
    generation = Self.forks.load(ordering: .relaxed)
  }

  /// Whether this is the original process, and not a forked child.
  var isHere: Bool { generation == Self.forks.load(ordering: .relaxed) }
}
