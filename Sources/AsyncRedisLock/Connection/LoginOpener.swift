internal import Synchronization

/// Opens streams, and finds what to log in with on each.
final class LoginOpener: Sendable {
  /// A stream that waits for its login.
  struct Opened: Sendable {
    let stream: any ByteStream
    let handshake: Handshake
  }

  typealias Completion = @Sendable (Result<Opened, TransportError>) -> Void

  private let opener: any StreamOpener
  private let login: Login
  private let ownsLogin: Bool

  init(
    _ configuration: LockerConfiguration, over opener: any StreamOpener,
    connectHook: Handshake.ConnectHook?, isSentinel: Bool = false, on machine: any Machine
  ) {
    self.opener = opener
    login = Login(configuration, connectHook: connectHook, isSentinel: isSentinel, on: machine)
    ownsLogin = true
  }

  /// Creates an opener that is used briefly, and shares its login with those before and after it.
  init(over opener: any StreamOpener, sharing login: Login) {
    self.opener = opener
    self.login = login
    ownsLogin = false
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
    if ownsLogin { login.close() }
  }

  /// Notes that the stream opened last led to a server of the wrong role.
  func noteWrongServer() { opener.noteWrongServer() }

  private func logIn(
    on stream: any ByteStream, by deadline: Instant, completion: @escaping Completion
  ) {
    login.prepare(by: deadline) { result in
      completion(result.map { Opened(stream: stream, handshake: $0) })
    }
  }
}
