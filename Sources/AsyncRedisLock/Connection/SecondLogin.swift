/// Decides whether a refused login is followed by another at once, with credentials that are asked for anew.
///
/// The credentials may have been rotated between the answer and the login. There is one such login until the next one
/// succeeds, so that a user that is locked out is not tried again and again.
struct SecondLogin {
  private enum Stage {
    case none
    /// The next refusal of the login is followed by a second login.
    case possible
    /// The second login has not been answered yet.
    case due
    /// The second login was refused, too.
    case used
  }

  private var stage: Stage

  init(isPossible: Bool) { stage = isPossible ? .possible : .none }

  /// Whether the next login is the second.
  var isDue: Bool { stage == .due }

  /// Notes the end of a connection; returns whether a second login follows at once.
  mutating func begins(after cause: TransportError) -> Bool {
    switch stage {
    case .possible:
      guard case .refused(let error) = cause, [.wrongPass, .noAuth].contains(error.code) else {
        return false
      }
      stage = .due
      return true
    case .due:
      stage = .used
      return false
    case .none, .used: return false
    }
  }

  /// Notes that a login has succeeded.
  mutating func loggedIn() { if stage != .none { stage = .possible } }
}
