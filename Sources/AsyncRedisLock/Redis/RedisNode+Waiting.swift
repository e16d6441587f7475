extension RedisNode {
  /// Whether the queues of some keys may be used although no notice would arrive now.
  ///
  /// If the server refuses notices, that is so for the user's other clients, too: all of them poll.
  func mayQueueUntold(for keys: [String]) -> Bool {
    queueAccess.isOpen(for: keys) && grantChannel.isOpening
  }

  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, reservation: Duration?, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) {
    let raises = isFencing && !fences.isRaised(at: connection.source)
    let command = Script.poll.command(
      keys: names.keysAndFence(of: claim.keys),
      arguments: [
        names.prefix, claim.token, String(claim.ttl.wholeMilliseconds),
        String(lapse.wholeMilliseconds), String(numbers),
        String(isFencing ? fences.largest : 0), raises ? "1" : "0",
      ] + (reservation.map { [String($0.wholeMilliseconds)] } ?? []))
    let end = deadline + lapse + claim.ttl
    let request = Request(
      [command], deadline: deadline,
      undo: { [self] in cleanUp(claim, until: end, mayHaveWaited: true, undoing: $0) }
    ) { [self] result in
      polls.remove(claim.token)
      switch result {
      case .failure(let failure): completion(.failure(StoreFailure(failure)))
      case .success(let answer):
        let value = readPoll(answer, numbers: numbers, hasRaised: raises)
        if case .failure(.unintelligible) = value {
          // Its own answer may still come: the undo is sent before the connection is closed.
          connection.submit(cleanUp(claim, until: end, mayHaveWaited: true))
          connection.distrust()
        }
        let error = answer.replies[0].error
        if error == nil { queueAccess.noteUse(of: CollectionOfOne(claim.keys)) }
        if acknowledger != nil, case .success(.held) = value {
          acknowledge(on: answeringPrimary, by: deadline) { [self] result in
            // At once; the entry's task gives the token up later, too.
            if case .failure = result {
              connection.submit(cleanUp(claim, until: end, mayHaveWaited: true))
            }
            completion(result.flatMap { value })
          }
          return
        }
        examine(error, about: claim.keys, queued: true, by: deadline) { refused in
          completion(refused == .other ? value : .failure(Self.failureOfQueues(error)))
        }
      }
    }
    polls.add(request, for: claim.token)
    connection.submit(request)
  }

  func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void
  ) {
    guard !isFencing || fences.isRaised else {
      completion(.success(places.map { _ in nil }))
      return
    }
    var arguments = [names.prefix, String(isFencing ? fences.largest : 0)]
    for place in places {
      arguments.append(place.claim.token)
      arguments.append(String(place.lapse.wholeMilliseconds))
    }
    let command = Script.refresh.command(
      keys: names.keysAndFence(of: places.map { $0.claim.keys[0] }), arguments: arguments)
    let request = Request([command], deadline: deadline) { [connection, queueAccess] result in
      switch result {
      case .failure(let failure): completion(.failure(StoreFailure(failure)))
      case .success(let answer):
        let value = Self.readRefresh(answer, count: places.count)
        if case .success = value { queueAccess.noteUse(of: places.lazy.map(\.claim.keys)) }
        if case .failure(.unintelligible) = value { connection.distrust() }
        completion(value)
      }
    }
    connection.submit(request)
  }

  private static func readRefresh(
    _ answer: Request.Answer, count: Int
  ) -> Result<[Waiting?], StoreFailure> {
    switch answer.replies[0] {
    case .array(let fields) where fields.count == 1 + 2 * count:
      guard let counter = fields[0].fencingToken else {
        return .failure(.noFencingToken(fields[0]))
      }
      var places: [Waiting?] = []
      for index in stride(from: 1, to: fields.count, by: 2) {
        guard let state = KeyState(fields[index...index + 1]) else {
          return .failure(.unexpected(fields[index]))
        }
        // A holder's value is never empty.
        places.append(
          state.holder == ""
            ? nil
            : Waiting(
              sentAt: answer.sentAt, counter: counter, state: state, isSilent: false, isHeard: true)
        )
      }
      return .success(places)
    case .error(let error): return .failure(StoreFailure(error))
    case let reply: return .failure(.unexpected(reply))
    }
  }

  func cancel(_ claim: Claim, lapse: Duration) {
    grantChannel.forget(claim.token)
    if let request = polls.remove(claim.token) { connection.abandon(request) }
    // Also after an abandoned poll: polls before it may have entered the token.
    connection.submit(
      cleanUp(claim, until: clock.now + lapse + claim.ttl, mayHaveWaited: true))
  }

  private func readPoll(
    _ answer: Request.Answer, numbers: Int, hasRaised: Bool
  ) -> Result<PollAnswer, StoreFailure> {
    switch answer.replies[0] {
    case .array(let fields) where fields.count == 2:
      guard case .integer(let code) = fields[0], code == 1 || code == 2 else {
        return .failure(.unexpected(fields[0]))
      }
      guard let drawn = fields[1].fencingTokens(numbers) else {
        return .failure(.noFencingToken(fields[1]))
      }
      // The counter was lost since the request was sent; if asked again, the server raises it first.
      guard !isFencing || fences.accept(drawn, isRaised: hasRaised, from: answer.source) else {
        return .success(.again)
      }
      return .success(.held(sentAt: answer.sentAt, numbers: drawn, wasGranted: code == 2))
    case .array(let fields) where fields.count == 6 && fields[0] == .integer(0):
      guard let counter = fields[1].fencingToken, let state = KeyState(fields[2...3]),
        case .integer(let isSilent) = fields[4], case .integer(let isHeard) = fields[5]
      else { return .failure(.unexpected(answer.replies[0])) }
      // The inbox is on another server than the one that grants: move it there.
      if isHeard != 1 { grantChannel.verify(isNewServer: false) }
      return .success(
        .waiting(
          Waiting(
            sentAt: answer.sentAt, counter: counter, state: state, isSilent: isSilent == 1,
            isHeard: isHeard == 1)))
    case .error(let error): return .failure(StoreFailure(error))
    case let reply: return .failure(.unexpected(reply))
    }
  }
}
