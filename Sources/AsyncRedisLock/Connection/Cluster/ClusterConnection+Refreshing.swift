/// Asking the nodes which of them has which slots: one after the other, until one tells.
extension ClusterConnection {
  /// How long to wait between two rounds of questions.
  private static let refreshPause = Duration.milliseconds(50)

  /// Asks for the slots, beginning with the node that has told of a change; at once, unless that is under way.
  func refresh(asking address: Address? = nil, completion: ClusterRefresh.Completion? = nil) {
    let begins = state.withLock { $0.refresh.begin(asking: address, waiting: completion) }
    if begins { queue.async { [weak self] in self?.askAll() } }
  }

  private func askAll() {
    var generator = machine.randomness
    let (candidates, changeCount) = state.withLock { state in
      let preferred = state.refresh.takePreferred().map { [$0] } ?? []
      // When a master fails, all clients ask at once: not all of them the same node.
      let all = preferred + state.table.masters.shuffled(using: &generator) + seeds
      var seen: Set<Address> = []
      let unique = all.filter { seen.insert($0).inserted }
      let failed = state.failed
      return (
        unique.filter { !failed.contains($0) } + unique.filter { failed.contains($0) },
        state.table.changeCount
      )
    }
    askNext(of: candidates[...], askedAt: changeCount, lastFailure: nil)
  }

  private func askNext(
    of candidates: ArraySlice<Address>, askedAt changeCount: Int, lastFailure: TransportError?
  ) {
    guard let address = candidates.first else {
      return end(.failure(lastFailure ?? .unreachable("no node of the cluster is known")))
    }
    let rest = candidates.dropFirst()
    // The next one may be well; a last one gets all the time that a connection may take.
    let patience = rest.isEmpty ? configuration.connectTimeout : configuration.connectTimeout / 4
    ask(address, by: clock.now + patience) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let ranges) where !ranges.isEmpty || rest.isEmpty:
        apply(ranges, askedAt: changeCount)
        end(.success(()))
      case .success:
        askNext(of: rest, askedAt: changeCount, lastFailure: lastFailure)
      case .failure(let failure):
        askNext(of: rest, askedAt: changeCount, lastFailure: failure)
      }
    }
  }

  private func ask(
    _ address: Address, by deadline: Instant,
    completion: @escaping @Sendable (Result<[SlotTable.Range], TransportError>) -> Void
  ) {
    let opener = LoginOpener(
      over: machine.makeOpener(for: configuration.leading(to: address)), sharing: refreshLogin)
    let (clock, queue) = (clock, queue)
    opener.open(by: deadline) { result in
      do throws(TransportError) {
        let opened = try result.get()
        let question = try StreamQuestion(
          on: opened.stream, opened.handshake, bounds: .slotsOfCluster)
        try question.await(by: deadline, clock: clock, on: queue) { [question] result in
          _ = question
          completion(
            result.flatMap { replies in
              Result { () throws(TransportError) in
                try SlotTable.read(replies.last, from: address)
              }
            })
        }
      } catch {
        completion(.failure(error))
      }
    }
  }

  private func apply(_ ranges: [SlotTable.Range], askedAt changeCount: Int) {
    let (changed, handlers, retired, isWhole) = state.withLock { state in
      let changed = state.table.apply(ranges, askedAt: changeCount)
      let masters = Set(state.table.masters)
      // What a former master still has to answer goes on; then its connection ends.
      let former = state.members.keys.filter { !masters.contains($0) }
      if state.openness == .open {
        for address in former {
          let member = state.members.removeValue(forKey: address)
          state.formerViolations += member?.connection.violationCount ?? 0
        }
      }
      let retired = state.subscribers.keys.filter { !masters.contains($0) }
        .compactMap { state.subscribers.removeValue(forKey: $0) }
      return (changed, state.handlers, retired, state.isWhole())
    }
    if isWhole { reporter.connected() }
    for subscriber in retired { subscriber.retire() }
    if !changed.isEmpty { handlers?.moved(changed) }
  }

  private func end(_ result: Result<Void, TransportError>) {
    let (waiting, repeats) = state.withLock { $0.refresh.end() }
    for completion in waiting { completion(result) }
    if repeats { afterPause(Self.refreshPause) { [weak self] in self?.askAll() } }
  }
}

extension ClusterConnection {
  /// The connection that listens on channels of a slot, at the node that has it as far as is known; nil once the
  /// cluster is closed.
  func subscriber(of slot: Int) -> ShardSubscriber? {
    guard let member = member(of: slot) else { return nil }
    let address = member.link.address
    return state.withLock { state in
      guard state.openness < .closing else { return nil }
      if let subscriber = state.subscribers[address] { return subscriber }
      let subscriber = ShardSubscriber(
        configuration.leading(to: address), on: machine, loginGate: member.connection.loginGate)
      state.subscribers[address] = subscriber
      return subscriber
    }
  }
}
