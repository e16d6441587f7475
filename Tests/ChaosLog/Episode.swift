/// An event on the server or in a process that explains what happened to holders.
public struct Episode: Sendable, Hashable {
  /// The kind of an event.
  public enum Kind: UInt64, Sendable, Hashable {
    /// A process, or a thread of it, did not run.
    case stall = 1
    /// The server could not be used.
    case outage
    /// The server forgot, or its clock went wrong: locks may have been lost.
    case forgetting
    /// A process was killed.
    case kill
  }

  /// The kind of the event.
  public var kind: Kind
  /// The process that was affected; 0 for the server.
  public var process: Int32
  /// When it began.
  public var start: UInt64
  /// When it was over.
  public var end: UInt64

  /// Describes an event.
  public init(_ kind: Kind, process: Int32 = 0, from start: UInt64, to end: UInt64) {
    self.kind = kind
    self.process = process
    self.start = start
    self.end = end
  }

  /// Whether any part of it lies between the two instants.
  public func touches(_ start: UInt64, _ end: UInt64) -> Bool {
    self.start <= end && start <= self.end
  }

  /// The words of the record; the first never equals the first of a ``Record``.
  var words: [UInt64] {
    [UInt64(UInt32(bitPattern: process)) << 32 | kind.rawValue << 8 | 128, start, end]
  }

  /// Reads a record; nil if it is not an episode.
  init?(words: [UInt64]) {
    guard words[0] & 129 == 128, let kind = Kind(rawValue: words[0] >> 8 & 255) else { return nil }
    self.init(
      kind, process: Int32(bitPattern: UInt32(words[0] >> 32)), from: words[1], to: words[2])
  }
}
