/// What streams log in with: the program is asked for its part for each of them, if it wants that.
///
/// Openers that are used for one stream share one, since it limits how many calls of the program's closure hang.
final class Login: Sendable {
  /// The handshake with the last credentials.
  private final class Shared: Sendable {
    let handshake: Locked<Handshake>

    init(_ handshake: Handshake) { self.handshake = Locked(handshake) }
  }

  private let shared: Shared
  private let asker: CredentialAsker?

  init(
    _ configuration: LockerConfiguration, connectHook: Handshake.ConnectHook?,
    isSentinel: Bool = false, on machine: any Machine
  ) {
    let shared = Shared(
      Handshake(configuration, connectHook: connectHook, isSentinel: isSentinel))
    self.shared = shared
    asker = configuration.credentials.map { credentials in
      CredentialAsker(credentials, on: machine) { text in
        shared.handshake.withLock { $0.mayRepeatPassword(text) }
      }
    }
  }

  /// Passes on the handshake for the next stream, or why there are no credentials for it by the deadline.
  func prepare(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<Handshake, TransportError>) -> Void
  ) {
    guard let asker else { return completion(.success(shared.handshake.withLock { $0 })) }
    asker.ask(by: deadline) { [shared] result in
      completion(
        result.map { answer in
          shared.handshake.withLock { handshake in
            handshake.setLogin(username: answer.username, password: answer.password)
            return handshake
          }
        })
    }
  }

  /// Asks for nothing more.
  func close() { asker?.close() }
}
