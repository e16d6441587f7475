/// The answer to a claim.
package enum Acquisition: Sendable {
  /// The keys are the claim's, counting from the instant before it was sent.
  ///
  /// Without fencing, and sometimes otherwise, there are fewer numbers than were asked for.
  case held(sentAt: Instant, numbers: Range<UInt64>)
  /// Somebody else holds one of the keys.
  case contended(KeyState)
}
