public import AsyncRedisLock
internal import Synchronization

extension InMemoryServer {
  /// Asks the server, as far as it can be reached.
  func submit(_ request: InMemoryRequest) {
    enum Fate {
      case none
      case act(Fault)
      case wait
      case fail(StoreFailure)
    }
    let fate: Fate = state.withLock { state in
      // Its caller was cancelled meanwhile, and what takes it back may have been here.
      guard !request.hasEnded else { return .none }
      let client = state.clients[request.client]
      if client.isStopped, !request.isPersistent { return .fail(.closed) }
      if let refusal = client.fault.refusal, !(request.isPersistent && refusal.isTransient) {
        return .fail(refusal)
      }
      let canAct = client.fault.acts
      // Closing waits for no answer that needs the clock to go on.
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

  /// Does what is asked, and lets the answer get back if it can.
  private func act(_ request: InMemoryRequest, _ fault: Fault) {
    let now = time.now
    // Whoever gives it up ends it first and takes it back then: so that is done before or comes behind.
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

  /// Sees to it that a request fails when its time is up.
  private func watch(_ request: InMemoryRequest) {
    setTimer(of: request, for: request.deadline) { [self] in
      guard finish(request) else { return }
      let refusal = state.withLock { $0.clients[request.client].fault.refusal }
      conclude(request, refusal ?? .unreachable("the server in memory did not answer in time"))
    }
  }

  /// Does something at an instant, unless the request has ended by then.
  private func setTimer(
    of request: InMemoryRequest, for instant: Instant, _ body: @escaping @Sendable () -> Void
  ) {
    let timer = OneShot(by: time, at: instant, body)
    let isKept = state.withLock { state in
      state.outstanding[ObjectIdentifier(request)]?.timers.append(timer) != nil
    }
    if !isKept { timer.cancel() }
  }

  /// Gives a request up; false when it has been answered.
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

  /// Lets a locker in; it is not stopped, and told of grants.
  func admit(_ id: String) -> Int {
    state.withLock { state in
      state.clients.append(Client(id: id, fault: state.fault))
      return state.clients.count - 1
    }
  }

  /// Fails what a client has asked, and refuses what comes later, but for what gives back.
  func stop(_ client: Int) {
    let asked = state.withLock { state in
      state.clients[client].isStopped = true
      return state.outstanding.values.filter { $0.request.client == client }
    }
    for asked in asked where asked.request.hasCaller {
      // An answer that is under way still arrives: closing does not wait for the clock to go on.
      if let answer = asked.answer {
        answer()
      } else if !(asked.hasActed && asked.isHeard) {
        abandon(asked.request, because: .closed)
      }  // Else whoever acts on it brings the answer just now.
    }
  }

  /// Treats what lockers ask in another way; the request that has to be done before, if there is one.
  ///
  /// What is asked meanwhile comes behind those that have waited, as on one connection.
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
    // Grants may have been made that they were not told of.
    for listener in deaf { listener(.mayHaveMissed) }
    return request
  }

  /// Treats what a locker asks in another way from now on.
  ///
  /// - Parameters:
  ///   - fault: How to treat it.
  ///   - locker: The locker; all of them, and those that come later, if nil.
  public func simulate(_ fault: Fault, for locker: Locker? = nil) {
    while let request = set(fault, towards: locker) { act(request, fault) }
  }
}
