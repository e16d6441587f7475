/// Following what nodes say about slots that have moved, or are moving.
extension ClusterConnection {
  /// How long to wait before a node is asked once more that was unable to answer, or before one redirection too many.
  private static let pause = Duration.milliseconds(50)
  /// How many redirections are followed without a pause.
  private static let mostHops = 5

  /// Takes over a request that a node has not executed, or of whose commands it has not executed all.
  ///
  /// Returns false if the answer is for the caller.
  func takesOver(
    _ request: Request, _ answer: Request.Answer, from link: ClusterLink
  ) -> Bool {
    if isOutdated(request, from: link, answer) {
      request.fail(.connectionLost("the slot has moved to another node")) { submit($0) }
      return true
    }
    let found = answer.replies.indices.lazy.compactMap { index in
      answer.replies[index].error.flatMap { error in
        Redirection(error, from: link.address).map { (index, $0) }
      }
    }.first
    guard let (index, redirection) = found else { return false }
    note(redirection)
    switch redirection {
    case .tryAgain, .down:
      // The next attempt of a claim has a token of its own, and what gives back can do with fewer keys. Without time
      // for another answer, this one says more than that there was none.
      guard index > 0 || request.kind == .call && !request.isClaim,
        clock.now + Self.pause + roundTrip < request.deadline
      else { return false }
    case .moved, .ask: break
    }
    // A caller that has given up has left nothing at this node, or its undo follows.
    guard !request.isFinished else { return true }
    if let commands = request.pipeline {
      SteppedRequest(request, commands, sentAt: answer.sentAt, in: self)
        .goOn(behind: Array(answer.replies.prefix(index)), source: answer.source)
      return true
    }
    guard request.returnToQueue() else { return true }
    follow(redirection, request, from: link)
    return true
  }

  /// Whether an answer comes from a node that, by what is known, does not have the slot any more.
  ///
  /// This is a rule of safety. A master that is cut off, or was stopped, goes on to answer while another one grants the
  /// same locks.
  private func isOutdated(
    _ request: Request, from link: ClusterLink, _ answer: Request.Answer
  ) -> Bool {
    guard request.kind == .call, !request.isAsking, !answer.replies.hasErrors,
      let slot = request.slot, let owner = owner(of: slot)
    else { return false }
    return owner != link.address
  }

  private func note(_ redirection: Redirection) {
    switch redirection {
    case .moved(let slot, let address):
      let (isNews, handlers) = state.withLock {
        ($0.table.moved(slot, to: address), $0.handlers)
      }
      if isNews { handlers?.moved([slot]) }
      refresh(asking: address)
    case .down: refresh()
    case .ask, .tryAgain: break
    }
  }

  private func follow(_ redirection: Redirection, _ request: Request, from link: ClusterLink) {
    request.isAsking = false
    switch redirection {
    case .moved(let slot, let address):
      // It differs if a tool asks for a key elsewhere.
      request.slot = slot
      if address == link.address {
        // The connection leads elsewhere than its address does by now.
        member(at: address)?.connection.reconnect(because: "the node at its address has changed")
        return later { [self] in submit(request) }
      }
      hop(request) { [self] in send(request, to: member(at: address)) }
    case .ask(_, let address):
      hop(request) { [self] in
        request.beginAsking()
        send(request, to: member(at: address))
      }
    case .tryAgain, .down: later { [self] in submit(request) }
    }
  }

  private func hop(_ request: Request, _ send: @escaping @Sendable () -> Void) {
    if request.countHop() <= Self.mostHops { send() } else { later(send) }
  }

  private func later(_ send: @escaping @Sendable () -> Void) { afterPause(Self.pause, send) }

  /// Sends requests that wait for a node to the nodes that have their slots by now, which may be the same.
  func reroute(_ requests: [Request], from address: Address) {
    for request in requests {
      request.isAsking = false
      submit(request)
    }
  }
}
