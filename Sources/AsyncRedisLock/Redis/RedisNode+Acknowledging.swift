extension RedisNode {
  /// The server whose answer is being read; nil without acknowledgements.
  ///
  /// Read it where answers are handed out: by the time a task goes on, the connection may lead to another server.
  var answeringPrimary: PrimaryRun? {
    acknowledger == nil ? nil : primary.current
  }

  /// Calls the completion when replicas have acknowledged what the primary did before its last answer.
  ///
  /// Returns what to finish in order to give up; nil if there is nothing to wait for any more.
  @discardableResult
  func acknowledge(
    on primary: PrimaryRun?, by deadline: Instant,
    completion: @escaping Acknowledgement.Completion
  ) -> Acknowledgement? {
    guard let acknowledger else {
      completion(.success(()))
      return nil
    }
    switch primary?.identity {
    case .success(let identity)?:
      let operation = Acknowledgement(on: identity, by: deadline, completion: completion)
      acknowledger.submit(operation)
      return operation
    case .failure(let failure)?:
      askForPrimary()
      completion(.failure(failure))
    case nil: completion(.failure(.unreachable("the connection was lost")))
    }
    return nil
  }

  /// Asks the server once more what it did not tell at the login, because it was busy or did not allow that.
  private func askForPrimary() {
    connection.submit(
      Request(PrimaryRun.commands, deadline: clock.now + operationTimeout) { [self] result in
        guard case .success(let answer) = result else { return }
        primary.current = PrimaryRun(answer.replies)
      })
  }

  /// Waits until replicas have acknowledged a claim that has its keys; otherwise undoes the claim.
  func acknowledge(
    _ claim: Claim, on primary: PrimaryRun?, by deadline: Instant
  ) async throws(StoreFailure) {
    let promise = Promise<Result<Void, StoreFailure>>()
    let giveUp = Locked(GivingUp())
    let result = await withTaskCancellationHandler {
      let operation = acknowledge(on: primary, by: deadline) { [self] result in
        // At once, and not when the task gets to run.
        if case .failure = result { connection.submit(cleanUp(claim)) }
        promise.fulfil(result)
      }
      if giveUp.withLock({ $0.begin(operation) }) { operation?.finish(.failure(.cancelled)) }
      return await promise.value
    } onCancel: {
      giveUp.withLock { $0.cancel() }?.finish(.failure(.cancelled))
    }
    try result.get()
  }

  /// Lets a cancellation meet the operation, whichever comes first.
  private struct GivingUp {
    private var operation: Acknowledgement?
    private var isCancelled = false

    /// Notes the operation; returns true if it is to be given up at once.
    mutating func begin(_ operation: Acknowledgement?) -> Bool {
      self.operation = operation
      return isCancelled
    }

    mutating func cancel() -> Acknowledgement? {
      isCancelled = true
      return operation.take()
    }
  }
}
