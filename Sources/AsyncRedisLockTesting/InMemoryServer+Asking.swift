public import AsyncRedisLock
internal import Synchronization

extension InMemoryServer {
  /// Asks the server, as far as it can be reached.
  func submit(_ question: Question) {
    enum Fate {
      case none
      case act(Behavior)
      case wait
      case fail(StoreFailure)
    }
    let fate: Fate = state.withLock { state in
      // Its caller was cancelled meanwhile, and what takes it back may have been here.
      guard !question.hasEnded else { return .none }
      let client = state.clients[question.client]
      if client.isStopped, !question.isPersistent { return .fail(.closed) }
      if let refusal = client.behavior.refusal, !(question.isPersistent && refusal.isTransient) {
        return .fail(refusal)
      }
      let canAct = client.behavior.acts
      // Closing waits for no answer that needs the clock to go on.
      if client.isStopped, !canAct, question.hasCaller { return .fail(.closed) }
      let behavior = client.isStopped ? .normal : client.behavior
      state.askedCount += 1
      state.outstanding[ObjectIdentifier(question)] = Asked(
        question: question, number: state.askedCount, hasActed: canAct, isHeard: behavior.isHeard)
      return canAct ? .act(behavior) : .wait
    }
    switch fate {
    case .none: break
    case .fail(let failure): conclude(question, failure)
    case .wait: watch(question)
    case .act(let behavior): act(question, behavior)
    }
  }

  /// Does what is asked, and lets the answer get back if it can.
  private func act(_ question: Question, _ behavior: Behavior) {
    let now = time.now
    // Whoever gives it up ends it first and takes it back then: so that is done before or comes behind.
    let answer = perform { question.hasEnded ? nil : question.act(&$0, now) }
    guard let answer else { return }
    let bring: @Sendable () -> Void = { [self] in if finish(question) { answer() } }
    if behavior.isHeard, behavior.delay == .zero { return bring() }
    if behavior.isHeard {
      let isStopped = state.withLock { state in
        state.outstanding[ObjectIdentifier(question)]?.answer = bring
        return state.clients[question.client].isStopped
      }
      if isStopped { return bring() }
      setTimer(of: question, for: now + behavior.delay, bring)
    }
    watch(question)
  }

  /// Sees to it that a question fails when its time is up.
  private func watch(_ question: Question) {
    setTimer(of: question, for: question.deadline) { [self] in
      guard finish(question) else { return }
      let refusal = state.withLock { $0.clients[question.client].behavior.refusal }
      conclude(question, refusal ?? .unreachable("the server in memory did not answer in time"))
    }
  }

  /// Does something at an instant, unless the question has ended by then.
  private func setTimer(
    of question: Question, for instant: Instant, _ body: @escaping @Sendable () -> Void
  ) {
    let timer = OneShot(by: time, at: instant, body)
    let isKept = state.withLock { state in
      state.outstanding[ObjectIdentifier(question)]?.timers.append(timer) != nil
    }
    if !isKept { timer.cancel() }
  }

  /// Gives a question up; false when it has been answered.
  @discardableResult
  func abandon(_ question: Question, because failure: StoreFailure) -> Bool {
    guard finish(question) else { return false }
    conclude(question, failure)
    return true
  }

  private func finish(_ question: Question) -> Bool {
    guard question.end() else { return false }
    let asked = state.withLock { $0.outstanding.removeValue(forKey: ObjectIdentifier(question)) }
    for timer in asked?.timers ?? [] { timer.cancel() }
    return true
  }

  private func conclude(_ question: Question, _ failure: StoreFailure) {
    if let remedy = question.remedy { submit(remedy()) }
    question.fail(failure)
  }

  // MARK: Clients

  /// Lets a locker in; it is not stopped, and told of grants.
  func admit(_ id: String) -> Int {
    state.withLock { state in
      state.clients.append(Client(id: id, behavior: state.behavior))
      return state.clients.count - 1
    }
  }

  /// Fails what a client has asked, and refuses what comes later, but for what gives back.
  func stop(_ client: Int) {
    let asked = state.withLock { state in
      state.clients[client].isStopped = true
      return state.outstanding.values.filter { $0.question.client == client }
    }
    for asked in asked where asked.question.hasCaller {
      // An answer that is under way still arrives: closing does not wait for the clock to go on.
      if let answer = asked.answer {
        answer()
      } else if !(asked.hasActed && asked.isHeard) {
        abandon(asked.question, because: .closed)
      }  // Else whoever acts on it brings the answer just now.
    }
  }

  /// Treats what lockers ask in another way; the question that has to be done before, if there is one.
  ///
  /// What is asked meanwhile comes behind those that have waited, as on one connection.
  private func set(_ behavior: Behavior, towards locker: Locker?) -> Question? {
    let (question, deaf) = state.withLock { state in
      var deaf: [@Sendable (Notice) -> Void] = []
      let clients = state.clients.indices.filter {
        locker == nil || state.clients[$0].id == locker?.id
      }
      let waiting =
        !behavior.acts
        ? nil
        : state.outstanding.values.filter {
          !$0.hasActed && clients.contains($0.question.client)
        }.min { $0.number < $1.number }
      if let question = waiting?.question {
        state.outstanding[ObjectIdentifier(question)]?.hasActed = true
        state.outstanding[ObjectIdentifier(question)]?.isHeard = behavior.isHeard
        return (Optional(question), deaf)
      }
      if locker == nil { state.behavior = behavior }
      for index in clients {
        if behavior.isHeard, !state.clients[index].behavior.isHeard {
          deaf += state.clients[index].listeners.values
        }
        state.clients[index].behavior = behavior
      }
      return (nil, deaf)
    }
    // Grants may have been made that they were not told of.
    for listener in deaf { listener(.mayHaveMissed) }
    return question
  }

  /// Treats what a locker asks in another way from now on.
  ///
  /// - Parameters:
  ///   - behavior: How to treat it.
  ///   - locker: The locker; all of them, and those that come later, if nil.
  public func behave(_ behavior: Behavior, towards locker: Locker? = nil) {
    while let question = set(behavior, towards: locker) { act(question, behavior) }
  }
}
