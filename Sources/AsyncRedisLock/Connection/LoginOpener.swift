internal import Synchronization

/// Opens streams, and finds what to log in with on each.
final class LoginOpener: Sendable {
  /// A stream that waits for its login.
  struct Opened: Sendable {
    let stream: any ByteStream
    let handshake: Handshake
  }

  /// The handshake with the last credentials.
  private final class SharedHandshake: Sendable {
    let value: Locked<Handshake>

    init(_ handshake: Handshake) { value = Locked(handshake) }
  }

  typealias Completion = @Sendable (Result<Opened, TransportError>) -> Void

  private let opener: any StreamOpener
  private let asker: CredentialAsker?
  private let handshake: SharedHandshake

  init(
    _ configuration: LockerConfiguration, over opener: any StreamOpener,
    connectHook: Handshake.ConnectHook?, isSentinel: Bool = false, on machine: any Machine
  ) {
    self.opener = opener
    let handshake = SharedHandshake(
      Handshake(configuration, connectHook: connectHook, isSentinel: isSentinel))
    self.handshake = handshake
    asker = configuration.credentials.map { credentials in
      CredentialAsker(credentials, on: machine) { text in
        handshake.value.withLock { $0.mayRepeatPassword(text) }
      }
    }
  }

  /// Opens a stream; the completion is called once, at the deadline at the latest, unless all is cancelled.
  ///
  /// The program is asked for credentials only when there is a server to log in to.
  func open(by deadline: Instant, completion: @escaping Completion) {
    opener.open(by: deadline) { [self] result in
      switch result {
      case .failure(let failure): completion(.failure(failure))
      case .success(let stream): logIn(on: stream, by: deadline, completion: completion)
      }
    }
  }

  /// Gives up the attempt under way, for good; its completion may or may not be called.
  func cancel() {
    opener.cancel()
    asker?.close()
  }

  /// Notes that the stream opened last led to a server of the wrong role.
  func noteWrongServer() { opener.noteWrongServer() }

  private func logIn(
    on stream: any ByteStream, by deadline: Instant, completion: @escaping Completion
  ) {
    guard let asker else {
      return completion(
        .success(Opened(stream: stream, handshake: handshake.value.withLock { $0 })))
    }
    asker.ask(by: deadline) { [self] result in
      completion(
        result.map { answer in
          let handshake = handshake.value.withLock { handshake in
            handshake.setLogin(username: answer.username, password: answer.password)
            return handshake
          }
          return Opened(stream: stream, handshake: handshake)
        })
    }
  }
}
