internal import Synchronization

/// Knows the sentinels of one locker: makes the openers that ask them, and watches them for a change.
///
/// All connections of the locker lead to the primary that the connection for requests has found.
final class SentinelDirectory: Sendable {
  typealias Address = LockerConfiguration.Address

  /// The name of the primary.
  let primary: String
  let configuration: LockerConfiguration
  let machine: any Machine
  private let state: Locked<SentinelState>
  private let handler = Locked<(@Sendable (String) -> Void)?>(nil)
  private let watches = Locked(Watches())
  private let queue: any WorkQueue

  private struct Watches {
    var all: [SentinelWatch] = []
    var survey: SentinelSurvey?
    /// They remember what the names of the sentinels meant.
    var openers: [Address: any StreamOpener] = [:]
    var isClosed = false
  }

  /// How many sentinels are watched at most: more than a primary has, and not too many connections.
  private static let mostWatches = 9

  /// Creates a directory; returns nil if the configuration names no sentinels.
  init?(_ configuration: LockerConfiguration, on machine: any Machine) {
    guard case .sentinels(let sentinels, let primary) = configuration.address.kind else {
      return nil
    }
    self.configuration = configuration
    self.machine = machine
    self.primary = primary
    queue = machine.makeQueue("sentinels", .extensions)
    state = Locked(SentinelState(sentinels))
  }

  deinit { close() }

  /// Calls the handler, with the reason, whenever the connections have to be made anew.
  func onChange(_ handler: @escaping @Sendable (String) -> Void) {
    self.handler.withLock { $0 = handler }
  }

  /// Makes an opener that finds the primary for each connection.
  func makeOpener(_ purpose: SentinelOpener.Purpose) -> any StreamOpener {
    SentinelOpener(of: self, for: purpose)
  }

  /// Ends the watches for good; openers go on, since there may be locks to give back.
  func close() {
    let former = watches.withLock { watches in
      watches.isClosed = true
      let former = watches
      (watches.all, watches.survey, watches.openers) = ([], nil, [:])
      return former
    }
    for watch in former.all { watch.close() }
    former.survey?.cancel()
    for opener in former.openers.values { opener.cancel() }
  }

  // MARK: For the openers

  /// The sentinels in the order of trust, the primary if it is known, and the number of changes so far.
  var known: SentinelState { state.withLock { $0 } }

  /// Chooses what to connect to among the answers of all sentinels.
  func choose(from answers: SentinelState.Answers) -> [SentinelState.Named] {
    state.withLock { $0.choose(from: answers) }
  }

  /// Notes the server that the connection for requests is about to lead to; returns false if that is history.
  func connected(to named: SentinelState.Named, changeCount: Int) -> Bool {
    let isCurrent = state.withLock { $0.connected(to: named, changeCount: changeCount) }
    if isCurrent { startWatches() }
    return isCurrent
  }

  func isNotPrimary(_ address: Address, namedBy sentinel: Address.Sentinel?) {
    state.withLock { $0.isNotPrimary(address, namedBy: sentinel) }
  }

  // MARK: For the watches

  /// Whether a change would be heard at present.
  var isWatching: Bool { watches.withLock { $0.all }.contains(where: \.isListening) }

  func answered(_ answer: PrimaryAnswer) {
    act(on: state.withLock { $0.answered(answer) }, answer.address)
  }

  func told(_ address: Address, by sentinel: Address.Sentinel) {
    act(on: state.withLock { $0.told(address, by: sentinel) }, address)
  }

  private func act(on news: SentinelState.News, _ address: Address) {
    switch news {
    case .none: break
    case .doubtful: survey()
    case .changed: handler.withLock { $0 }?("a sentinel names another primary, \(address)")
    }
  }

  // MARK: While all works

  /// How often all sentinels are asked though none has told of a change.
  ///
  /// None does if an operator sets them up anew, by `SENTINEL REMOVE` and `MONITOR`.
  private static let surveyInterval = Duration.seconds(5)

  private func surveyLater() {
    queue.async(after: Self.surveyInterval) { [weak self] in
      guard let self, !watches.withLock({ $0.isClosed }) else { return }
      survey()
      surveyLater()
    }
  }

  private func survey() {
    let changeCount = known.changeCount
    let survey = SentinelSurvey(of: self, on: queue) { [weak self] outcome in
      guard let self else { return }
      let (news, latest) = state.withLock { state in
        (state.surveyed(outcome.answers, changeCount: changeCount), state.latest)
      }
      if let latest { act(on: news, latest.address) }
    }
    let former = watches.withLock { watches in
      defer { watches.survey = watches.isClosed ? nil : survey }
      return watches.survey
    }
    former?.cancel()
    survey.run(by: machine.clock.now + configuration.connectTimeout) { configuration in
      watches.withLock { watches in
        guard !watches.isClosed else { return nil }
        let opener =
          watches.openers[configuration.address] ?? machine.makeOpener(for: configuration)
        watches.openers[configuration.address] = opener
        return opener
      }
    }
  }

  /// Watches the sentinels, unless that has begun.
  private func startWatches() {
    let order = known.order.prefix(Self.mostWatches)
    let new: [SentinelWatch] = watches.withLock { watches in
      guard !watches.isClosed, watches.all.isEmpty else { return [] }
      watches.all = order.map { SentinelWatch(on: $0, of: self) }
      return watches.all
    }
    for watch in new { watch.open() }
    if !new.isEmpty { surveyLater() }
  }
}
