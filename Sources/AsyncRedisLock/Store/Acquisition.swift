/// The answer to a claim.
package enum Acquisition: Sendable {
  /// The claim has the keys, counting from the instant before it was sent.
  ///
  /// Without fencing, and sometimes otherwise, there are fewer numbers than requested.
  case held(sentAt: Instant, numbers: Range<UInt64>)
  /// Another holder has one of the keys.
  case contended(KeyState)
}
