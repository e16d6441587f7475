/// How far a locker is from its end, and how many calls that take a lock or give one back are running.
///
/// A pure state machine.
enum ClosingState: Equatable {
  case open(calls: Int)
  /// New locks are refused; held ones go on until they are released.
  case closing(calls: Int)
  /// Only requests that give back and clean up go on.
  case closed(calls: Int)

  var phase: ClosePhase {
    switch self {
    case .open: .open
    case .closing: .closing
    case .closed: .closed
    }
  }

  private var calls: Int {
    switch self {
    case .open(let calls), .closing(let calls), .closed(let calls): calls
    }
  }

  /// Whether closing need not wait for any call.
  var isIdle: Bool { calls == 0 }

  private init(_ phase: ClosePhase, calls: Int) {
    self =
      switch phase {
      case .open: .open(calls: calls)
      case .closing: .closing(calls: calls)
      case .closed: .closed(calls: calls)
      }
  }

  /// Counts a call that may begin until a phase is over; returns false if it is over.
  mutating func begin(until lastPhase: ClosePhase) -> Bool {
    guard phase <= lastPhase else { return false }
    self = Self(phase, calls: calls + 1)
    return true
  }

  /// Stops counting a call; returns true if it was the last.
  mutating func end() -> Bool {
    self = Self(phase, calls: calls - 1)
    return isIdle
  }

  /// Begins a phase; there is no way back.
  mutating func close(_ next: ClosePhase) { self = Self(max(phase, next), calls: calls) }
}
