internal import Synchronization

/// Asks a server once whether it is the primary, on a stream of its own.
final class ServerCheck: Sendable {
  private let opener: LoginOpener
  private let deadline: Instant
  private let clock: LockClock
  private let queue: any WorkQueue
  private let question = Locked<StreamQuestion?>(nil)

  /// Creates a check of one of the servers that a configuration of sentinels may lead to.
  ///
  /// The login checks the role, if it was made with that configuration.
  init(
    _ configuration: LockerConfiguration, at address: LockerConfiguration.Address,
    with login: Login, on queue: any WorkQueue, of machine: any Machine
  ) {
    opener = LoginOpener(
      over: machine.makeOpener(for: configuration.leading(to: address)), sharing: login)
    clock = machine.clock
    deadline = machine.clock.now + configuration.connectTimeout
    self.queue = queue
  }

  deinit { cancel() }

  /// Asks; the action is called once if the server says in time that it is the primary.
  func run(isPrimary: @escaping @Sendable () -> Void) {
    opener.open(by: deadline) { [weak self] result in
      guard let self, let opened = try? result.get(),
        let question = try? StreamQuestion(on: opened.stream, opened.handshake)
      else { return }
      self.question.withLock { $0 = question }
      try? question.await(by: deadline, clock: clock, on: queue) { result in
        if case .success = result { isPrimary() }
      }
    }
  }

  func cancel() {
    opener.cancel()
    question.withLock { $0.take() }?.cancel()
  }
}
