internal import Synchronization

extension Lock {
  /// Runs a body in a child task that is cancelled when the lock is lost, then releases the lock.
  ///
  /// The call does not count as running while the body is suspended.
  func run<R>(
    isolation: isolated (any Actor)?, _ body: (Lock) async throws -> sending R
  ) async throws -> sending R {
    let outcome: Result<UnsafeTransfer<R>, any Error> = await withoutActuallyEscaping(body) {
      body in
      await self.outcome(of: UnsafeTransfer(body), isolation: isolation)
    }
    let endError = await releaseAfterBody()
    switch outcome {
    case .success(let box):
      if let endError { throw endError }
      return box.value
    case .failure(let error):
      if let endError, error is CancellationError, !Task.isCancelled { throw endError }
      // An error of a call on the handle that reports the loss is not retryable; acquiring the lock again is.
      if let endError, (error as? LockError)?.code == endError.code,
        (error as? LockError)?.keys == keys
      {
        throw endError
      }
      throw error
    }
  }

  /// Releases the lock; returns the error to throw if the lock ended while the body ran.
  private func releaseAfterBody() async -> LockError? {
    do throws(LockError) {
      try coordinator.checkNotForked(keys, .release)
    } catch {
      return error
    }
    if lease.ending == .revoked { return notHeldError(nil) }
    if lossReason != nil {
      // There is nothing to wait for, least of all if the server is gone; remaining keys are cleaned up.
      beginRelease()
      return notHeldError(nil)
    }
    // If the release fails, it goes on in the background. That is no reason to hide the body's outcome.
    _ = try? await giveBack()
    return lease.lossFoundByRelease == nil ? nil : notHeldError(nil)
  }

  private func outcome<R>(
    of body: UnsafeTransfer<(Lock) async throws -> sending R>,
    isolation: isolated (any Actor)?
  ) async -> Result<UnsafeTransfer<R>, any Error> {
    await withTaskGroup(
      of: Result<UnsafeTransfer<R>, any Error>.self, isolation: isolation
    ) { group in
      let activity = coordinator.activity
      let held = HeldLocks.current
      let canceller = BodyCanceller(of: lease, reporter: coordinator.reporter, activity)
      // Not a task, because the program may keep all threads busy on which that would run. In a forked child, no
      // mutex may be touched.
      if coordinator.forkGuard.isHere { lease.addWatcher(canceller) }
      defer { if coordinator.forkGuard.isHere { lease.removeWatcher(canceller) } }
      activity?.begin()
      group.addTask(executorPreference: Self.executorOfBody(countedBy: activity)) {
        let held = held.adding(self.lease, in: self.coordinator.storeID)
        // The task's address may be that of another one afterwards.
        defer { held.ownerEnds() }
        return await HeldLocks.$inherited.withValue(held) {
          await self.coordinator.reporter.hold(self.lease) {
            await canceller.cover { await self.call(body, isolation: isolation) }
          }
        }
      }
      // Two parties are counted now; this task is the first to pause and the last to resume.
      activity?.end()
      guard let outcome = await group.next(isolation: isolation) else {
        preconditionFailure("The body's child task ends with an outcome.")
      }
      return outcome
    }
  }

  /// The executor that counts the body while it runs, unless the caller has an executor of its own.
  private static func executorOfBody(
    countedBy activity: (any ActivityCounter)?
  ) -> (any TaskExecutor)? {
    Task.hasExecutorPreference ? nil : activity
  }

  /// Calls the body on its actor.
  private func call<R>(
    _ body: UnsafeTransfer<(Lock) async throws -> sending R>, isolation: isolated (any Actor)?
  ) async -> Result<UnsafeTransfer<R>, any Error> {
    // The actor may have been busy since the lock was taken.
    guard isHeld else { return .failure(notHeldError(nil)) }
    coordinator.activity?.end()
    defer { coordinator.activity?.begin() }
    do {
      return .success(UnsafeTransfer(try await body.value(self)))
    } catch {
      return .failure(error)
    }
  }
}

/// Carries a value into a child task or out of it.
///
/// Safe here, because the parent does not touch the value while the child runs. Besides, both run on the same
/// actor, and the child has ended when the parent resumes.
private struct UnsafeTransfer<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}

/// Cancels the task of a body from outside when its lock is lost or taken away, without its parent.
private final class BodyCanceller: EndWatcher {
  /// Safe to share: other tasks call only methods that are safe for any task, and only while the task runs.
  @safe private struct Handle: @unchecked Sendable {
    let task: UnsafeCurrentTask
  }

  private enum State {
    case idle
    /// Cancelled before the body has begun.
    case cancelledEarly
    case running(Handle)
    /// The program's cancellation handlers run; the end of the body waits for that.
    case cancelling(waiting: CheckedContinuation<Void, Never>?)
    case over
  }

  private let state = Locked(State.idle)
  private let lease: Lease
  private let reporter: Reporter
  private let activity: (any ActivityCounter)?

  init(of lease: Lease, reporter: Reporter, _ activity: (any ActivityCounter)?) {
    self.lease = lease
    self.reporter = reporter
    self.activity = activity
  }

  func fire() {
    // A body that releases its lock early is not disturbed.
    guard lease.lossReason != nil || lease.ending == .revoked else { return }
    activity?.begin()
    reporter.runForProgram { [self] in
      cancel()
      activity?.end()
    }
  }

  /// Runs a body, during which the current task can be cancelled from outside.
  func cover<Value: Sendable>(_ body: @Sendable () async -> Value) async -> Value {
    await unsafe withUnsafeCurrentTask { task in
      if let task = unsafe task, begins(with: unsafe Handle(task: task)) { unsafe task.cancel() }
      let value = await body()
      await end()
      return value
    }
  }

  /// Cancels the body's task, which runs the program's cancellation handlers.
  ///
  /// If one blocks, the body does not end before, as everywhere in Swift, and nothing else waits. A handler may also
  /// resume the body on this thread, so no mutex is locked meanwhile.
  private func cancel() {
    let handle: Handle? = state.withLock { state in
      switch state {
      case .running(let handle):
        state = .cancelling(waiting: nil)
        return handle
      case .idle: state = .cancelledEarly
      case .cancelledEarly, .cancelling, .over: break
      }
      return nil
    }
    guard let handle else { return }
    unsafe handle.task.cancel()
    let waiting: CheckedContinuation<Void, Never>? = state.withLock { state in
      guard case .cancelling(let waiting) = state else { return nil }
      state = .over
      return waiting
    }
    waiting?.resume()
  }

  /// Notes that the body begins in a task; returns whether that is to be cancelled.
  private func begins(with handle: Handle) -> Bool {
    state.withLock { state in
      if case .cancelledEarly = state { return true }
      state = .running(handle)
      return false
    }
  }

  /// Notes that the body has ended, and that its task must not be used any more; waits while it is being cancelled.
  private func end() async {
    guard !endsAtOnce(orResumes: nil) else { return }
    await withCheckedContinuation { continuation in
      if endsAtOnce(orResumes: continuation) { continuation.resume() }
    }
  }

  private func endsAtOnce(orResumes waiting: CheckedContinuation<Void, Never>?) -> Bool {
    state.withLock { state in
      guard case .cancelling = state else {
        state = .over
        return true
      }
      state = .cancelling(waiting: waiting)
      return false
    }
  }
}
