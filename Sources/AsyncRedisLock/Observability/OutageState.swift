/// Whether there is a connection, since when there is none, and whether that has been logged.
///
/// A pure state machine: the time is an argument, and the message to log is returned.
struct OutageState {
  /// What to log about a connection that has ended, or an attempt that has failed.
  enum Loss: Equatable {
    /// The state is as before, or the outage may be over in a moment.
    case nothing
    /// The connection has been lost.
    case lost
    /// There has been none yet.
    case cannotConnect
  }

  /// What to log about a connection that works.
  enum Return: Equatable {
    case first
    /// The first, after attempts that have failed.
    case late(after: Duration)
    /// It works after an outage; `wasTold` tells whether the outage was logged.
    case again(after: Duration, wasTold: Bool)
  }

  private(set) var isConnected = false
  private var hasBeenConnected = false
  private var since: Instant?
  private var isTold = false
  /// Whether a caller gets an error if there has been no connection yet.
  private let isFirstAwaited: Bool

  init(isFirstAwaited: Bool) { self.isFirstAwaited = isFirstAwaited }

  /// Notes that a connection has ended or could not be made.
  ///
  /// `isIdle` tells that no request was made on it; such a connection may be replaced at once.
  mutating func disconnected(isIdle: Bool, at now: Instant) -> Loss {
    isConnected = false
    let isNew = since == nil
    since = since ?? now
    let mayBeOverSoon = isIdle && isNew && hasBeenConnected
    guard !isTold, !mayBeOverSoon, hasBeenConnected || !isFirstAwaited else { return .nothing }
    isTold = true
    return hasBeenConnected ? .lost : .cannotConnect
  }

  /// Notes that the message about the outage was held back.
  mutating func wasHeldBack() { isTold = false }

  /// Notes that a connection works.
  mutating func connected(at now: Instant) -> Return {
    defer { (isConnected, hasBeenConnected, since, isTold) = (true, true, nil, false) }
    guard let since else { return .first }
    guard hasBeenConnected else { return .late(after: since.duration(to: now)) }
    return .again(after: since.duration(to: now), wasTold: isTold)
  }
}
