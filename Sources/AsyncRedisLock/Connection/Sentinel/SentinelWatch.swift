internal import Synchronization

/// Listens on one sentinel for the message that another server has become the primary.
///
/// This is a rule of safety. If the old primary is alive, it goes on to accept writes for seconds after the sentinels
/// have agreed on another one. Meanwhile, other clients may take the same locks from the new one.
final class SentinelWatch: Sendable {
  /// A silent sentinel is left for the next one soon, because changes go unnoticed meanwhile.
  private static let pauses = Subscriber.Pauses(ping: .seconds(1), afterRefusal: .seconds(1))

  private let opener: SentinelWatchOpener
  private let subscriber: Subscriber

  init(of directory: SentinelDirectory) {
    let opener = SentinelWatchOpener(of: directory)
    self.opener = opener
    let answer = Locked<LockerConfiguration.Address?>(nil)
    let question = PrimaryAnswer.question(directory.primary)
    let hook = Handshake.ConnectHook(
      commands: { [question] },
      received: { replies in
        // A sentinel that does not know the primary tells of no change.
        guard let address = try? PrimaryAnswer.read(replies.first) else { return false }
        answer.withLock { $0 = address }
        return true
      }, scriptCount: 0)
    subscriber = Subscriber(
      directory.configuration.leading(toSentinel: directory.known.order[0]),
      channel: PrimaryAnswer.channel, over: opener, connectHook: hook, isSentinel: true,
      pauses: Self.pauses,
      on: directory.machine, loginGate: LoginGate(), isWaitedFor: { true }
    ) { [weak directory] event in
      switch event {
      case .subscribed:
        // It may have changed before.
        if let address = answer.withLock({ $0.take() }) { directory?.answered(address) }
      case .message(let text):
        guard let directory,
          let address = PrimaryAnswer.read(message: text, about: directory.primary)
        else { return }
        directory.told(address, by: opener.current)
      case .disconnected: opener.goOn()
      case .probed: break
      }
    }
  }

  func open() { subscriber.open() }

  /// Watches a sentinel in place of another.
  func move(to sentinel: LockerConfiguration.Address.Sentinel) {
    guard opener.move(to: sentinel) else { return }
    subscriber.reconnect(because: "another sentinel is to be watched", isElsewhere: false)
  }

  func close() { subscriber.close() }
}
