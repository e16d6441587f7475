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
  private let reporter: Reporter
  private let state: Locked<SentinelState>
  private let handler = Locked<(@Sendable (String) -> Void)?>(nil)
  private let watches = Locked(Watches())
  private let queue: any WorkQueue
  /// For all checks of servers.
  private let login: Login

  private struct Watches {
    var all: [SentinelWatch] = []
    var survey: SentinelSurvey?
    /// When the last survey began.
    var lastSurvey: Instant?
    var isSurveyPlanned = false
    /// Whether there has been a reason for another survey that the present one may not answer.
    var isSurveyDue = false
    var check: ServerCheck?
    /// They remember what the names of the sentinels meant.
    var openers: [Address: any StreamOpener] = [:]
    var isClosed = false
  }

  /// How many sentinels are watched at most: more than a primary has, and not too many connections.
  private static let mostWatches = 9

  /// Creates a directory; returns nil if the configuration names no sentinels.
  init?(_ configuration: LockerConfiguration, on machine: any Machine, reporter: Reporter) {
    guard case .sentinels(let sentinels, let primary) = configuration.address.kind else {
      return nil
    }
    self.configuration = configuration
    self.machine = machine
    self.reporter = reporter
    self.primary = primary
    queue = machine.makeQueue("sentinels", .extensions)
    login = Login(configuration, connectHook: nil, on: machine)
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
      (watches.all, watches.survey, watches.openers, watches.check) = ([], nil, [:], nil)
      return former
    }
    for watch in former.all { watch.close() }
    former.survey?.cancel()
    former.check?.cancel()
    login.close()
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
    if isCurrent {
      startWatches()
      surveyIfDue()
    }
    return isCurrent
  }

  func isNotPrimary(_ address: Address, namedBy sentinel: Address.Sentinel?) {
    state.withLock { $0.isNotPrimary(address, namedBy: sentinel) }
  }

  /// Notes that another connection than that for requests has led to a server that is not the primary.
  func isDoubted(_ address: Address) {
    guard state.withLock({ $0.isDoubted(address) }) == .changed else { return }
    reconnect(because: "\(address) has said that it is not the primary")
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
    case .doubtful:
      watches.withLock { $0.isSurveyDue = true }
      // A connection that is being made asks all of them anyway; what it has not heard is left for then.
      if known.primary != nil { surveyIfDue() }
    case .changed: reconnect(because: "a sentinel names another primary, \(address)")
    case .denied(let answer): check(answer)
    }
  }

  private func reconnect(because reason: String) { handler.withLock { $0 }?(reason) }

  // MARK: While all works

  /// How often all sentinels are asked though none has told of a change.
  ///
  /// None does if an operator sets them up anew, by `SENTINEL REMOVE` and `MONITOR`.
  private static let surveyInterval = Duration.seconds(5)

  /// How soon a survey may follow another: a sentinel that hangs up again and again must not make all others busy.
  private static let shortestInterval = Duration.seconds(1)

  private func surveyLater() {
    queue.async(after: Self.surveyInterval) { [weak self] in
      guard let self, !watches.withLock({ $0.isClosed }) else { return }
      watches.withLock { $0.isSurveyDue = true }
      surveyIfDue()
      surveyLater()
    }
  }

  /// Begins a survey that is due as soon as it may, unless one is under way: another follows then.
  private func surveyIfDue() {
    let now = machine.clock.now
    let pause: Duration? = watches.withLock { watches in
      guard watches.isSurveyDue, watches.survey == nil, !watches.isSurveyPlanned, !watches.isClosed
      else { return nil }
      watches.isSurveyPlanned = true
      return watches.lastSurvey.map { now.duration(to: $0 + Self.shortestInterval) } ?? .zero
    }
    guard let pause else { return }
    queue.async(after: max(pause, .zero)) { [weak self] in self?.survey() }
  }

  private func survey() {
    let changeCount = known.changeCount
    let now = machine.clock.now
    let survey = SentinelSurvey(of: self, isThorough: true, on: queue) { [weak self] outcome in
      guard let self else { return }
      watches.withLock { $0.survey = nil }
      let (news, latest) = state.withLock { state in
        (state.surveyed(outcome.answers, changeCount: changeCount), state.latest)
      }
      if let latest { act(on: news, latest.address) }
      if outcome.answers.answered.isEmpty, !isWatching {
        reporter.sentinelsUnheard(because: outcome.failures, primary: primary)
      }
      if known.primary != nil { surveyIfDue() }
    }
    let isWanted = watches.withLock { watches in
      (watches.isSurveyPlanned, watches.isSurveyDue) = (false, false)
      guard !watches.isClosed else { return false }
      (watches.survey, watches.lastSurvey) = (survey, now)
      return true
    }
    guard isWanted else { return }
    survey.run(by: now + min(configuration.connectTimeout, Self.surveyInterval)) { configuration in
      watches.withLock { watches in
        guard !watches.isClosed else { return nil }
        let opener =
          watches.openers[configuration.address] ?? machine.makeOpener(for: configuration)
        watches.openers[configuration.address] = opener
        return opener
      }
    }
  }

  /// Asks a server that has denied it whether it is the primary by now; the connections stay meanwhile.
  private func check(_ answer: PrimaryAnswer) {
    let changeCount = known.changeCount
    let check = ServerCheck(
      configuration, at: answer.address, with: login, on: queue, of: machine)
    let former = watches.withLock { watches in
      defer { watches.check = watches.isClosed ? nil : check }
      return watches.check
    }
    former?.cancel()
    check.run { [weak self] in
      guard let self else { return }
      act(
        on: state.withLock { $0.confirmed(answer, changeCount: changeCount) }, answer.address)
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
