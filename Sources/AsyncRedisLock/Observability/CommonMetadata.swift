internal import Logging
internal import Synchronization

/// The metadata of all messages of a locker: the server, the locker and its label.
final class CommonMetadata: Sendable {
  private let values: Locked<Logger.Metadata>

  init(of configuration: LockerConfiguration?, address: String, label: String?) {
    var metadata: Logger.Metadata = [:]
    if let configuration {
      metadata["redis-lock.server"] = "\(address)/\(configuration.database)"
    }
    if let label { metadata["redis-lock.label"] = "\(label)" }
    values = Locked(metadata)
  }

  /// Adds the locker's identity, as soon as there is one.
  func identify(as lockerID: String) {
    values.withLock { $0["redis-lock.locker"] = "\(lockerID)" }
  }

  /// The same with one message's own metadata, which takes precedence.
  func with(_ own: Logger.Metadata) -> Logger.Metadata {
    values.withLock { $0 }.merging(own) { $1 }
  }
}
