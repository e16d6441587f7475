internal import Synchronization

/// Listens on a sentinel for the message that another server has become the primary.
///
/// This is a rule of safety. If the old primary is alive, it goes on to accept writes for seconds after the sentinels
/// have agreed on another one. Meanwhile, other clients may take the same locks from the new one.
final class SentinelWatch: Sendable {
  /// A silent sentinel is noticed soon, because changes go unheard meanwhile.
  ///
  /// One that refuses the login is not hammered: the surveys ask it, too.
  private static let pauses = ListeningConnection.Pauses(
    ping: .seconds(1), afterRefusal: .seconds(10))

  /// Whether a change would be heard; shared with the handler of events.
  private final class Hearing: Sendable {
    let isGood = Atomic<Bool>(false)
  }

  private let hearing = Hearing()
  private let subscriber: Subscriber

  init(on sentinel: LockerConfiguration.Address.Sentinel, of directory: SentinelDirectory) {
    let answer = Locked<PrimaryAnswer?>(nil)
    let questions = PrimaryAnswer.questions(directory.primary)
    let hook = Handshake.ConnectHook(
      commands: { questions },
      received: { replies in
        // A sentinel that does not know the primary tells of no change.
        guard let news = try? PrimaryAnswer.read(replies) else { return false }
        answer.withLock { $0 = news }
        return true
      }, scriptCount: 0)
    let configuration = directory.configuration.leading(toSentinel: sentinel)
    subscriber = Subscriber(
      configuration, channels: PrimaryAnswer.channels,
      over: directory.machine.makeOpener(for: configuration), connectHook: hook, isSentinel: true,
      pauses: Self.pauses, on: directory.machine, loginGate: LoginGate(),
      isWaitedFor: { [weak directory] in directory?.isWatching == false }
    ) { [weak directory, hearing] event in
      switch event {
      case .subscribed:
        hearing.isGood.store(true, ordering: .relaxed)
        // It may have changed before.
        if let answer = answer.withLock({ $0.take() }) { directory?.answered(answer) }
      case .message(let text):
        guard let directory,
          let address = PrimaryAnswer.read(message: text, about: directory.primary)
        else { return }
        directory.told(address, by: sentinel)
      case .disconnected: hearing.isGood.store(false, ordering: .relaxed)
      case .probed: break
      }
    }
  }

  /// Whether a change would be heard.
  var isListening: Bool { hearing.isGood.load(ordering: .relaxed) }

  func open() { subscriber.open() }

  func close() { subscriber.close() }
}
