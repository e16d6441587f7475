internal import Synchronization

extension RedisNode {
  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    switch claim.mode {
    case .exclusive
    where claim.keys.count == 1 && (!(isFencing && numbers > 1) || isInCluster)
      && !refusesScripts.load(ordering: .relaxed):
      break
    case .exclusive: return try await inquire(claim, numbers: numbers, by: deadline)
    }
    guard !isInCluster else { return try await acquireInSlot(claim, by: deadline) }
    let call = AcquireCall(claim, at: self)
    let attempt = await outcome(of: call.makeRequest(by: deadline), in: call)
    return try await acquisition(of: claim, from: attempt.get(), by: deadline)
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    // While its slot is half moved, a script with the counter is refused, and commands with one key each are not.
    if isInCluster, claim.mode == .exclusive, claim.keys.count == 1,
      isHalfMoved.exchange(false, ordering: .relaxed)
    {
      return try await acquireInSlot(claim, by: deadline)
    }
    let command = inquiry(claim, numbers: numbers)
    return try await acquire(claim, with: [command], by: deadline) { [self] answer in
      readInquiry(answer, numbers: numbers)
    }
  }

  func inquiry(_ claim: Claim, numbers: Int) -> Command {
    Script.acquire.command(
      keys: claim.keys + (isFencing ? [names.fence] : []),
      arguments: [
        claim.token, String(claim.ttl.wholeMilliseconds), String(claim.keys.count),
        String(numbers),
      ])
  }

  func readInquiry(_ answer: Request.Answer, numbers: Int) -> Result<Attempt, StoreFailure> {
    if answer.replies.first?.error?.code == .tryAgain {
      isHalfMoved.store(true, ordering: .relaxed)
    }
    let attempt = readScript(answer, numbers: numbers)
    if case .success = attempt { refusesScripts.store(false, ordering: .relaxed) }
    return attempt
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    let command = adoption(claim, from: token, numbers: numbers)
    return try await acquire(claim, with: [command], by: deadline) { [self] answer in
      readAdoption(answer, numbers: numbers)
    }
  }

  /// Reads the answer to an adoption; `note` gets how long the former holder would have had the keys, if that is known.
  func readAdoption(
    _ answer: Request.Answer, numbers: Int, note: (Duration) -> Void = { _ in }
  ) -> Result<Attempt, StoreFailure> {
    guard case .array(let fields) = answer.replies[0], fields.count == 3, fields[0] == .integer(1)
    else { return readScript(answer, numbers: numbers) }
    guard case .integer(let rest) = fields[2] else { return .failure(.unexpected(fields[2])) }
    if rest >= 0 { note(.milliseconds(rest)) }
    return readScript(
      Request.Answer(
        replies: [.array(Array(fields[..<2]))], sentAt: answer.sentAt, source: answer.source,
        isOfRepetition: answer.isOfRepetition), numbers: numbers)
  }

  func adoption(_ claim: Claim, from token: String, numbers: Int) -> Command {
    Script.adopt.command(
      keys: claim.keys + (isFencing ? [names.fence] : []),
      arguments: [
        token, claim.token, String(claim.ttl.wholeMilliseconds), String(claim.keys.count),
        String(numbers),
      ])
  }

  /// The outcome that the replies to a claim tell.
  enum Attempt: Sendable {
    ///
    /// With it comes the server that has told so, if replicas have to confirm what it did.
    case done(Acquisition, on: PrimaryRun?)
    /// The claim has the keys, but the drawn number cannot be used.
    case needsNumber(sentAt: Instant)
  }

  private func acquire(
    _ claim: Claim, with commands: [Command], by deadline: Instant,
    read: @escaping @Sendable (Request.Answer) -> Result<Attempt, StoreFailure>
  ) async throws(StoreFailure) -> Acquisition {
    let attempt = try await perform(commands, by: deadline, undoing: claim, read: read).get()
    return try await acquisition(of: claim, from: attempt, by: deadline)
  }

  func acquisition(
    of claim: Claim, from attempt: Attempt, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    switch attempt {
    case .done(let acquisition, let primary):
      guard acknowledger != nil, case .held = acquisition else { return acquisition }
      try await acknowledge(claim, on: primary, by: deadline)
      return acquisition
    case .needsNumber(let sentAt):
      let numbered: Attempt
      do throws(StoreFailure) {
        numbered = try await drawNumber(claim, sentAt: sentAt, by: deadline)
      } catch {
        connection.submit(cleanUp(claim))
        throw error
      }
      if case .done(.contended, _) = numbered { connection.submit(cleanUp(claim)) }
      return try await acquisition(of: claim, from: numbered, by: deadline)
    }
  }

  /// Reads the replies to `SET NX`, maybe `INCR`, and `GETRANGE`.
  ///
  /// The lock counts only if the key still holds the token after the number was drawn. The server may run other
  /// commands between two commands of a pipeline; a holder whose key was deleted there would outrank the next one.
  /// Nor can a duplicate reply pass for a reply to the next `SET`.
  static func readPipeline(
    _ answer: Request.Answer, token: String, fences: FenceCounter, primary: PrimaryRun? = nil,
    hasRaised: Bool = false
  ) -> Result<Attempt, StoreFailure> {
    let count = answer.replies.count
    let last = answer.replies[count - 1]
    switch answer.replies[0] {
    case .null:
      switch last {
      case .string(let value): return .success(.done(.contended(.init(value)), on: primary))
      case .error(let error): return .failure(StoreFailure(error))
      default: return .failure(.unexpected(last))
      }
    case .status("OK"):
      if answer.replies.hasErrors, let error = answer.replies.lazy.compactMap(\.error).first {
        return .failure(StoreFailure(error))
      }
      let number = count == 3 ? answer.replies[1].fencingToken : 0
      guard let number else { return .failure(.noFencingToken(answer.replies[1])) }
      guard case .string(let value) = last else { return .failure(.unexpected(last)) }
      guard value == token else { return .success(.done(.contended(.init(value)), on: primary)) }
      guard count == 3 else {
        return .success(.done(.held(sentAt: answer.sentAt, numbers: 0..<0), on: primary))
      }
      guard fences.accept(number, isRaised: hasRaised, from: answer.source) else {
        return .success(.needsNumber(sentAt: answer.sentAt))
      }
      return .success(
        .done(.held(sentAt: answer.sentAt, numbers: number..<number + 1), on: primary))
    case .error(let error):
      return .failure(StoreFailure(error))
    default:
      return .failure(.unexpected(answer.replies[0]))
    }
  }

  func readScript(
    _ answer: Request.Answer, numbers: Int
  ) -> Result<Attempt, StoreFailure> {
    let primary = answeringPrimary
    switch answer.replies[0] {
    case .array(let fields) where fields.count == 2 && fields[0] == .integer(1):
      if fields[1] == .string("") {
        return .success(.done(.held(sentAt: answer.sentAt, numbers: 0..<0), on: primary))
      }
      guard let drawn = fields[1].fencingTokens(numbers) else {
        return .failure(.noFencingToken(fields[1]))
      }
      guard fences.accept(drawn, from: answer.source) else {
        return .success(.needsNumber(sentAt: answer.sentAt))
      }
      return .success(.done(.held(sentAt: answer.sentAt, numbers: drawn), on: primary))
    case .array(let fields) where fields.count == 3 && fields[0] == .integer(0):
      guard let state = KeyState(fields[1...]) else { return .failure(.unexpected(fields[1])) }
      return .success(.done(.contended(state), on: primary))
    case .error(let error): return .failure(StoreFailure(error))
    case let reply: return .failure(.unexpected(reply))
    }
  }

  /// Raises the fence counter and draws a number for keys that the claim has already; without a number, it still
  /// has them.
  private func drawNumber(
    _ claim: Claim, sentAt: Instant, by deadline: Instant
  ) async throws(StoreFailure) -> Attempt {
    let command = Self.raiseCommand(
      names, above: fences.largest, keys: claim.keys, token: claim.token)
    let result: Result<Attempt?, StoreFailure> = await perform([command], by: deadline) {
      [self] answer in
      readNumber(answer, sentAt: sentAt)
    }
    // The counter was lost again between the two requests: try again, until the deadline.
    if let attempt = try result.get() { return attempt }
    return try await drawNumber(claim, sentAt: sentAt, by: deadline)
  }

  /// Reads the number that was drawn after the counter was raised; nil if it was lost again meanwhile.
  func readNumber(
    _ answer: Request.Answer, sentAt: Instant
  ) -> Result<Attempt?, StoreFailure> {
    switch answer.replies[0] {
    case .null: return .success(.done(.contended(.init()), on: nil))
    case .error(let error): return .failure(StoreFailure(error))
    case let reply:
      guard let number = reply.fencingToken else { return .failure(.noFencingToken(reply)) }
      guard fences.accept(number, isRaised: true, from: answer.source) else {
        return .success(nil)
      }
      return .success(
        .done(.held(sentAt: sentAt, numbers: number..<number + 1), on: answeringPrimary))
    }
  }

  static func raiseCommand(
    _ names: ServerKeys, above largest: UInt64, keys: [String] = [], token: String = ""
  ) -> Command {
    Script.fence.command(keys: [names.fence] + keys, arguments: [String(largest), token])
  }
}
