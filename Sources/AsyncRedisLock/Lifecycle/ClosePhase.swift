/// How far a locker is from its end.
enum ClosePhase: UInt8, Comparable {
  case open
  /// New locks are refused; held ones go on until they are released.
  case closing
  /// Only requests that give back and clean up go on.
  case closed

  static func < (first: Self, second: Self) -> Bool { first.rawValue < second.rawValue }
}
