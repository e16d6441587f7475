/// How far a locker is from its end.
enum ClosePhase: UInt8, Comparable {
  case open
  /// No new locks; those that are held go on until they are released.
  case closing
  /// Nothing but what gives back and cleans up.
  case closed

  static func < (first: Self, second: Self) -> Bool { first.rawValue < second.rawValue }
}
