internal import Synchronization

/// Taking keys in a slot of a cluster.
extension RedisNode {
  /// Takes one key as ``AcquireCall`` does.
  ///
  /// Each command has one key, so that each can be redirected on its own. If the server has not raised the fence counter
  /// for this locker yet, a script in place of `INCR` does. No login does that, since a slot has no connection of its
  /// own.
  func acquireInSlot(_ claim: Claim, by deadline: Instant) async throws(StoreFailure) -> Acquisition
  {
    let key = claim.keys[0]
    var commands = [
      Command("SET", key, claim.token, "NX", "PX", String(claim.ttl.wholeMilliseconds))
    ]
    var question: UInt32?
    if isFencing {
      if fences.isRaised(at: connection.source) {
        commands.append(Command("INCR", names.fence))
      } else {
        let number = questions.wrappingAdd(1, ordering: .relaxed).newValue
        question = number
        // By its source: if the server did not know it, all would be repeated, and `SET` would find its own token.
        commands.append(
          Command([
            "EVAL", Script.fence.source, "1", names.fence, String(fences.largest), "",
            String(number),
          ]))
      }
    }
    commands.append(
      Command("GETRANGE", key, "0", String(LockToken.maximumLength - 1)))
    let attempt: Result<Attempt, StoreFailure> = await perform(
      commands, by: deadline, undoing: claim
    ) { [self, question] answer in
      var answer = answer
      // Only what a script was sent for may be a script's answer.
      if let question, answer.replies.count == 3, answer.replies[1].error == nil {
        guard let drawn = try? answer.replies[1].answer(to: question) else {
          return .failure(.unexpected(answer.replies[1]))
        }
        answer = Request.Answer(
          replies: [answer.replies[0], drawn, answer.replies[2]], sentAt: answer.sentAt,
          source: answer.source, isOfRepetition: answer.isOfRepetition)
      }
      return Self.readPipeline(
        answer, token: claim.token, fences: fences, hasRaised: question != nil)
    }
    return try await acquisition(of: claim, from: attempt.get(), by: deadline)
  }
}
