internal import Dispatch

extension LockerConfiguration {
  /// A user and a password that the program provides anew for each connection.
  ///
  /// For tokens that expire, such as those of a cloud's identity service, and for passwords that are rotated. The
  /// closure is called for each new connection, and the answer is used for nothing else. A connection that is logged in
  /// stays as it is: the server's rules tell when to cut it, and the next one logs in with a new answer.
  ///
  /// Two values are equal if one is a copy of the other.
  public struct Credentials: Sendable {
    /// What a closure returns: the ACL user, or `nil` for the server's default user, and the password.
    public typealias Answer = (username: String?, password: Password)

    /// Keeps the closure, whose captures may end in code of the program.
    private final class Source: Sendable {
      let provide: @Sendable () async throws -> Answer

      init(_ provide: @escaping @Sendable () async throws -> Answer) { self.provide = provide }

      deinit { ProgramExecutor.shared.run { [provide] in withExtendedLifetime(provide) {} } }
    }

    private let source: Source

    /// Wraps a closure that provides a user and a password.
    ///
    /// The closure runs on threads of its own, so it may block. If it has not returned when the
    /// ``LockerConfiguration/connectTimeout`` of a connection ends, its task is cancelled. The attempt to connect
    /// fails, and the next one calls it again. While two calls of one connection have not returned, there is no third.
    ///
    /// - Parameter provide: The closure. What it throws is told in errors with the code
    ///   ``LockError/Code/unreachable``, so the thrown error must not contain a secret.
    public init(
      _ provide: @escaping @Sendable () async throws -> (username: String?, password: Password)
    ) {
      source = Source(provide)
    }

    /// Calls the closure.
    @concurrent func provide() async throws -> Answer { try await source.provide() }
  }
}

extension LockerConfiguration.Credentials: Hashable {
  /// Whether one is a copy of the other.
  public static func == (first: Self, second: Self) -> Bool { first.source === second.source }

  /// Feeds the identity of the closure.
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(source)) }
}

extension LockerConfiguration.Credentials: CustomStringConvertible, CustomReflectable {
  /// A placeholder, since the closure may contain a password.
  public var description: String { "<credentials>" }
  /// A mirror without children, so that `dump` has nothing to show.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension LockerConfiguration {
  /// Checks a user and a password against their rules; the texts of the parts are not quoted.
  static func check(
    username: String?, password: Password?, _ code: LockError.Code
  ) throws(LockError) {
    if let username {
      guard !username.isEmpty else {
        throw LockError(code, "user must not be empty; leave it out")
      }
      try check(username, hasNoNULAs: "user", code)
      guard password != nil else {
        throw LockError(
          code, "user needs a password; in a URL a password alone is written :password@host")
      }
    }
    if let password {
      guard !password.value.isEmpty else {
        throw LockError(code, "password must not be empty; leave it out")
      }
      try check(password.value, hasNoNULAs: "password", code)
    }
  }
}
