/// A notice that a waiter gets without asking.
package enum Notice: Sendable {
  /// The keys were granted, with these fencing tokens.
  case granted(Range<UInt64>)
  /// Notices may have been lost.
  case mayHaveMissed
}
