internal import Logging
internal import Synchronization

/// What all messages of a locker say besides their text: the server, the locker and its label.
final class CommonMetadata: Sendable {
  private let values: Locked<Logger.Metadata>

  init(of configuration: LockerConfiguration?, label: String?) {
    var metadata: Logger.Metadata = [:]
    if let configuration {
      metadata["redis-lock.server"] = "\(configuration.address)/\(configuration.database)"
    }
    if let label { metadata["redis-lock.label"] = "\(label)" }
    values = Locked(metadata)
  }

  /// Adds the locker's identity, as soon as there is one.
  func identify(as lockerID: String) {
    values.withLock { $0["redis-lock.locker"] = "\(lockerID)" }
  }

  /// The same with what one message says, which goes first.
  func with(_ own: Logger.Metadata) -> Logger.Metadata {
    values.withLock { $0 }.merging(own) { $1 }
  }
}
