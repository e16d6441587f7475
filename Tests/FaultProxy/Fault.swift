/// What a proxy does with a message.
package enum Fault: Sendable {
  case forward
  case swallow
  case duplicate
  case replace([UInt8])
  /// Forwards it later, and what follows in its direction behind it.
  case delay(Duration)
  /// Forwards so many bytes at a time, with a pause in between.
  case drip(count: Int, every: Duration)
  /// Forwards so many bytes; from then on nothing passes in either direction, and nobody is told.
  case blackhole(after: Int)
  /// Forwards so many bytes, then hangs up on both sides.
  case cut(after: Int)
  /// Forwards so many bytes, then sends RST to the client and hangs up on the server.
  case reset(after: Int)
  /// Forwards so many bytes, then sends FIN to the client, and RST when it says something after that.
  case finishThenReset(after: Int)
  /// Forwards so many bytes, then sends FIN that way; the other direction goes on.
  case halfClose(after: Int)

  /// What kind it is, for counting; nil when nothing goes wrong.
  package var kind: String? {
    switch self {
    case .forward: nil
    case .swallow: "swallowed"
    case .duplicate: "duplicated"
    case .replace: "replaced"
    case .delay: "delayed"
    case .drip: "dripped"
    case .blackhole: "black hole"
    case .cut: "cut"
    case .reset: "reset"
    case .finishThenReset: "FIN, then RST"
    case .halfClose: "half-closed"
    }
  }
}
