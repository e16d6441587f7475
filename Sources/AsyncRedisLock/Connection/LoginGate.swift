internal import Synchronization

/// Lets one login a second through, once the server has refused one.
///
/// Otherwise every call would try a password that was rotated, and fill the server's log of denied logins. Only the
/// connection that carries the requests notes refusals: another's says nothing about what that one may do.
final class LoginGate: Sendable {
  /// Whether a login may be tried.
  enum Admission: Equatable {
    case go
    /// Wait until an instant, because of the server's last error.
    case wait(until: Instant, ServerError)
  }

  private struct Refusal {
    let error: ServerError
    let time: Instant
    var next: Instant
    /// When the first refusal of the present series came.
    let since: Instant

    /// Whether refusals have come for so long that the password is not just being rotated.
    var isRepeated: Bool { since + LoginGate.interval <= time }

    /// The refusal for a call that was not worth a login of its own.
    func told(at now: Instant) -> ServerError {
      let age = time.duration(to: now).roundedForMessage
      return error.adding(" (\(age) ago; the client logs in at most once a second)")
    }
  }

  /// The time from one login to the next.
  static let interval = Duration.seconds(1)
  /// How long before the end of a lease a login has to come: the longest pause between two extensions, and a moment.
  static let margin = Duration.milliseconds(350)
  /// The shortest time between two logins for the sake of a lease.
  static let shortestInterval = Duration.milliseconds(100)

  private let refusal = Locked<Refusal?>(nil)

  /// Asks for a login now; after a refusal, this uses up the one login of this second.
  func admit(at now: Instant) -> Admission {
    refusal.withLock { refusal in
      guard let current = refusal else { return .go }
      if now < current.next { return .wait(until: current.next, current.told(at: now)) }
      refusal?.next = now + Self.interval
      return .go
    }
  }

  /// The server's last refusal, if no login may be tried now, and whether refusals had come for a second by then.
  func refusal(at now: Instant) -> (error: ServerError, isRepeated: Bool)? {
    refusal.withLock { refusal in
      guard let refusal, now < refusal.next else { return nil }
      return (refusal.told(at: now), refusal.isRepeated)
    }
  }

  /// Brings the next login forward if a lease ends before it could help: to the middle of the time that is left.
  ///
  /// A password is often wrong for a moment only, while it is being rotated.
  func hurry(forLeaseUntil end: Instant, at now: Instant) {
    refusal.withLock { refusal in
      guard let current = refusal, now < end, end < current.next + Self.margin else { return }
      let middle = now + now.duration(to: end) / 2
      refusal?.next = min(current.next, max(middle, current.time + Self.shortestInterval))
    }
  }

  /// Notes that a login was refused.
  func refused(_ error: ServerError, at now: Instant) {
    refusal.withLock { refusal in
      let next = max(refusal?.next ?? now, now + Self.interval)
      refusal = Refusal(error: error, time: now, next: next, since: refusal?.since ?? now)
    }
  }

  /// Notes that a login has succeeded, or that the last attempt ended without an answer: the refusal is history.
  func forget() { refusal.withLock { $0 = nil } }
}
