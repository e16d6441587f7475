public import AsyncRedisLock
internal import Synchronization

extension InMemoryServer {
  /// Sends the server a request, as far as the server can be reached.
  func submit(_ request: InMemoryRequest) {
    enum Fate {
      case none
      case act(Fault)
      case wait
      case fail(StoreFailure)
    }
    let fate: Fate = state.withLock { state in
      // Its caller was cancelled meanwhile, and the request that undoes it may have been here.
      guard !request.hasEnded else { return .none }
      let client = state.clients[request.client]
      if client.isStopped, !request.isPersistent { return .fail(.closed) }
      if let refusal = client.fault.refusal, !(request.isPersistent && refusal.isTransient) {
        return .fail(refusal)
      }
      let canAct = client.fault.acts
      // Closing waits for no answer that needs the clock to advance.
      if client.isStopped, !canAct, request.hasCaller { return .fail(.closed) }
      let fault = client.isStopped ? .none : client.fault
      state.askedCount += 1
      state.outstanding[ObjectIdentifier(request)] = Asked(
        request: request, number: state.askedCount, hasActed: canAct, isHeard: fault.isHeard)
      return canAct ? .act(fault) : .wait
    }
    switch fate {
    case .none: break
    case .fail(let failure): conclude(request, failure)
    case .wait: watch(request)
    case .act(let fault): act(request, fault)
    }
  }

  /// Does what a request asks for, and lets the answer get back if it can.
  private func act(_ request: InMemoryRequest, _ fault: Fault) {
    let now = time.now
    // A caller that gives the request up ends it first and then undoes it: so this runs before that, or not at
    // all.
    let answer = perform { request.hasEnded ? nil : request.act(&$0, now) }
    guard let answer else { return }
    let bring: @Sendable () -> Void = { [self] in if finish(request) { answer() } }
    if fault.isHeard, fault.delay == .zero { return bring() }
    if fault.isHeard {
      let isStopped = state.withLock { state in
        state.outstanding[ObjectIdentifier(request)]?.answer = bring
        return state.clients[request.client].isStopped
      }
      if isStopped { return bring() }
      setTimer(of: request, for: now + fault.delay, bring)
    }
    watch(request)
  }

  /// Makes sure that a request fails when its time is up.
  private func watch(_ request: InMemoryRequest) {
    setTimer(of: request, for: request.deadline) { [self] in
      guard finish(request) else { return }
      let refusal = state.withLock { $0.clients[request.client].fault.refusal }
      conclude(request, refusal ?? .unreachable("the server in memory did not answer in time"))
    }
  }

  /// Runs an action at an instant, unless the request has ended by then.
  private func setTimer(
    of request: InMemoryRequest, for instant: Instant, _ body: @escaping @Sendable () -> Void
  ) {
    let timer = OneShot(by: time, at: instant, body)
    let isKept = state.withLock { state in
      state.outstanding[ObjectIdentifier(request)]?.timers.append(timer) != nil
    }
    if !isKept { timer.cancel() }
  }

  /// Gives a request up; returns false if it has been answered.
  @discardableResult
  func abandon(_ request: InMemoryRequest, because failure: StoreFailure) -> Bool {
    guard finish(request) else { return false }
    conclude(request, failure)
    return true
  }

  private func finish(_ request: InMemoryRequest) -> Bool {
    guard request.end() else { return false }
    let asked = state.withLock { $0.outstanding.removeValue(forKey: ObjectIdentifier(request)) }
    for timer in asked?.timers ?? [] { timer.cancel() }
    return true
  }

  private func conclude(_ request: InMemoryRequest, _ failure: StoreFailure) {
    if let remedy = request.remedy { submit(remedy()) }
    request.fail(failure)
  }

  // MARK: Clients

  /// Admits a locker, which is not stopped and hears of grants.
  func admit(_ id: String) -> Int {
    state.withLock { state in
      state.clients.append(Client(id: id, fault: state.fault))
      return state.clients.count - 1
    }
  }

  /// Fails a client's requests, and refuses later ones, except those that give back.
  func stop(_ client: Int) {
    let asked = state.withLock { state in
      state.clients[client].isStopped = true
      return state.outstanding.values.filter { $0.request.client == client }
    }
    for asked in asked where asked.request.hasCaller {
      // An answer that is under way still arrives: closing does not wait for the clock to advance.
      if let answer = asked.answer {
        answer()
      } else if !(asked.hasActed && asked.isHeard) {
        abandon(asked.request, because: .closed)
      }  // Else the task that acts on it delivers the answer just now.
    }
  }

  /// Sets how requests of lockers are treated; returns the request that must be done first, if there is one.
  ///
  /// Requests that arrive meanwhile come behind those that have waited, as on one connection.
  private func set(_ fault: Fault, towards locker: Locker?) -> InMemoryRequest? {
    let (request, deaf) = state.withLock { state in
      var deaf: [@Sendable (Notice) -> Void] = []
      let clients = state.clients.indices.filter {
        locker == nil || state.clients[$0].id == locker?.id
      }
      let waiting =
        !fault.acts
        ? nil
        : state.outstanding.values.filter {
          !$0.hasActed && clients.contains($0.request.client)
        }.min { $0.number < $1.number }
      if let request = waiting?.request {
        state.outstanding[ObjectIdentifier(request)]?.hasActed = true
        state.outstanding[ObjectIdentifier(request)]?.isHeard = fault.isHeard
        return (Optional(request), deaf)
      }
      if locker == nil { state.fault = fault }
      for index in clients {
        if fault.isHeard, !state.clients[index].fault.isHeard {
          deaf += state.clients[index].listeners.values
        }
        state.clients[index].fault = fault
      }
      return (nil, deaf)
    }
    // The lockers may have missed messages about grants.
    for listener in deaf { listener(.mayHaveMissed) }
    return request
  }

  /// Changes how a locker's requests are treated from now on.
  ///
  /// - Parameters:
  ///   - fault: How to treat them.
  ///   - locker: The locker; if nil, all lockers, including later ones.
  public func simulate(_ fault: Fault, for locker: Locker? = nil) {
    while let request = set(fault, towards: locker) { act(request, fault) }
  }
}
