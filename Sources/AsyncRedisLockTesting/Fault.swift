internal import AsyncRedisLock

extension InMemoryServer {
  /// A fault between the lockers and a server in memory.
  public struct Fault: Sendable, Hashable {
    private enum Kind: Hashable {
      case none
      case delaying(Duration)
      case unreachable
      case losingReplies
      case refusing(code: String, message: String, isTransient: Bool)
    }

    private let kind: Kind

    private init(_ kind: Kind) { self.kind = kind }

    /// The server acts on requests, and answers at once.
    public static let none = Self(.none)

    /// Nothing arrives, as if the network were cut; requests wait until they time out.
    public static let unreachable = Self(.unreachable)

    /// The server acts on requests, but no answer and no grant gets back.
    public static let losingReplies = Self(.losingReplies)

    /// The server acts on requests at once, but each answer takes this long to get back.
    public static func delaying(by delay: Duration) -> Self { Self(.delaying(delay)) }

    /// The server answers everything with an error reply.
    ///
    /// - Parameters:
    ///   - code: The first word of the reply, such as `NOPERM` or `LOADING`.
    ///   - message: The rest of the reply.
    ///   - isTransient: Whether the locker tries again, as it does after `LOADING`, `BUSY` and the like.
    /// - Returns: The fault.
    public static func refusing(
      _ code: String, message: String = "refused by the test", isTransient: Bool = false
    ) -> Self {
      Self(.refusing(code: code, message: "\(code) \(message)", isTransient: isTransient))
    }

    /// Whether the server acts on requests.
    var acts: Bool { kind != .unreachable && refusal == nil }

    /// Whether answers get back.
    var isHeard: Bool { kind != .unreachable && kind != .losingReplies }

    /// How long an answer takes.
    var delay: Duration { if case .delaying(let delay) = kind { delay } else { .zero } }

    /// The failure that answers everything.
    var refusal: StoreFailure? {
      guard case .refusing(let code, let message, let isTransient) = kind else { return nil }
      return .refused(code: code, message: message, isTransient: isTransient)
    }
  }
}
