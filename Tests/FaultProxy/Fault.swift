/// The treatment of a message by a proxy.
package enum Fault: Sendable {
  case forward
  case swallow
  case duplicate
  case replace([UInt8])
  /// Forwards the message later, and everything that follows in its direction after it.
  case delay(Duration)
  /// Forwards this many bytes at a time, with a pause in between.
  case drip(count: Int, every: Duration)
  /// Forwards this many bytes; from then on nothing passes in either direction, and neither side is told.
  case blackhole(after: Int)
  /// Forwards this many bytes, then hangs up on both sides.
  case cut(after: Int)
  /// Forwards this many bytes, then sends RST to the client and hangs up on the server.
  case reset(after: Int)
  /// Forwards this many bytes, then sends FIN to the client, and RST if the client sends anything after that.
  case finishThenReset(after: Int)
  /// Forwards this many bytes, then sends FIN that way; the other direction goes on.
  case halfClose(after: Int)

  /// The kind of the fault, for counting; nil if nothing goes wrong.
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
