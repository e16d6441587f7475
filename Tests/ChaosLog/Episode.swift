/// Something that happened to the server or to a process, which explains what holders went through.
public struct Episode: Sendable, Hashable {
  /// What happened.
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

  /// What happened.
  public var kind: Kind
  /// The process it happened to; 0 for the server.
  public var process: Int32
  /// When it began.
  public var start: UInt64
  /// When it was over.
  public var end: UInt64

  /// Describes what happened.
  public init(_ kind: Kind, process: Int32 = 0, from start: UInt64, to end: UInt64) {
    self.kind = kind
    self.process = process
    self.start = start
    self.end = end
  }

  /// Whether any of it happened between the two instants.
  public func touches(_ start: UInt64, _ end: UInt64) -> Bool {
    self.start <= end && start <= self.end
  }

  /// The record's words; the first is never that of an ``Record``.
  var words: [UInt64] {
    [UInt64(UInt32(bitPattern: process)) << 32 | kind.rawValue << 8 | 128, start, end]
  }

  /// Reads a record; nil if it is none of an episode.
  init?(words: [UInt64]) {
    guard words[0] & 129 == 128, let kind = Kind(rawValue: words[0] >> 8 & 255) else { return nil }
    self.init(
      kind, process: Int32(bitPattern: UInt32(words[0] >> 32)), from: words[1], to: words[2])
  }
}
