internal import Synchronization

/// The server that a connection leads to, as its last login has found it.
final class KnownPrimary: Sendable {
  private let run = Locked<PrimaryRun?>(nil)

  /// The server; nil before the first login.
  var current: PrimaryRun? {
    get { run.withLock { $0 } }
    set { run.withLock { $0 = newValue } }
  }
}
