#if CommandLineTool
  import AsyncRedisLock
  import Synchronization

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Takes the lock and gives it back, and reports on that.
  extension Supervisor {
    func waitForLock(
      on connection: ConnectionOptions
    ) async throws -> (Locker, Lock) {
      console.say(.info, "waiting for \(order.list)", fields())
      let task = Task { [order, console, fields = fields()] in
        let deadline = order.waits ? order.options.timeout.map { ContinuousClock.now + $0 } : nil
        let locker = try await connection.connect(
          until: deadline, acknowledging: order.acknowledgements, console: console,
          fields: fields)
        do throws(any Error) {
          try await refuseNesting(at: locker)
          try await checkCommands(at: locker)
          let reporter = WaitReporter(keys: order.keys, locker: locker, console: console)
          let left = deadline.map { ContinuousClock.now.duration(to: $0) }
          // If connecting took all the time, or most of it, the lock is requested once.
          if order.waits, left.map({ $0 >= .milliseconds(1) }) ?? true {
            let reporting = Task { await reporter.run() }
            defer {
              reporting.cancel()
              console.showProgress(nil)
            }
            var options = order.options
            options.timeout = left
            do {
              return (locker, try await locker.acquire(order.keys, options: options))
            } catch let error as LockError
              where error.code == .unreachable
              && left.map({ $0 < locker.operationTimeout }) ?? false
            {
              // There was no time for an answer: as above, the lock is requested once.
            }
          }
          if let lock = try await locker.acquireIfAvailable(order.keys, options: order.options) {
            return (locker, lock)
          }
          let situation = try? await reporter.situation()
          var own: Console.Fields = [:]
          if let situation {
            own = ["key": .text(situation.key), "holder": .text(situation.holder)]
          }
          throw ToolFailure(
            .notAcquired, situation?.text ?? "another client holds \(order.list)", own)
        } catch {
          // An abandoned request must be given back before this process ends.
          await locker.close()
          throw error
        }
      }
      let isOver = state.withLock { state in
        state.cancelWait = { task.cancel() }
        return !state.signals.isEmpty
      }
      if isOver { task.cancel() }
      let (locker, lock) = try await task.value
      let isWanted = state.withLock { state in
        state.hasWaited = true
        return state.signals.isEmpty
      }
      guard isWanted else {
        _ = try? await lock.release()
        throw CancellationError()
      }
      return (locker, lock)
    }

    /// Makes sure that this is not a run within a run under the same lock, which would wait for itself.
    func refuseNesting(at locker: Locker) async throws {
      let tokens = Self.enclosingTokens
      guard !tokens.isEmpty else { return }
      // They may belong to runs that have ended.
      for key in order.keys {
        guard let holder = try await locker.inspect(key)?.holder.value, tokens.contains(holder)
        else { continue }
        throw ToolFailure(
          .usage,
          "\(key.safeToShow) is held by an enclosing redis-lock run, which waits for this one")
      }
    }

    /// Makes sure that the server supports what locks need, as long as the command has not been started.
    ///
    /// If the server is unable to do something just now, the lock waits for that; the server may be another one by
    /// then.
    func checkCommands(at locker: Locker) async throws {
      var failure: (text: String, isTransient: Bool)?
      do {
        failure = try await locker.tryCommands(for: order.keys[0])
      } catch let error as LockError where error.isRetryable && order.waits {
        failure = (error.message, true)
      }
      guard let failure else { return }
      guard failure.isTransient else {
        throw ToolFailure(
          .refused,
          "the server lacks what locks need (\(failure.text)): see redis-lock doctor")
      }
      if order.waits { console.say(.warning, "waiting for the server: \(failure.text)", fields()) }
    }

    func release(_ lock: Lock) async -> ReleaseOutcome? {
      do {
        return try await lock.release()
      } catch {
        console.say(
          .warning, "the lock could not be released and expires with its ttl: \(error)", fields())
        return nil
      }
    }

    /// Why a lock was lost, or is being lost.
    func describeLoss(of lock: Lock) -> String {
      let reason = lock.lossReason ?? (lock.isLimitedByMaxHold ? .heldTooLong : nil)
      if reason == .heldTooLong { return "the lock was held for as long as --max-hold allows" }
      if let explanation = lock.lossExplanation { return "the lock was lost: \(explanation)" }
      let why = lock.extensionTrouble.map { " (\($0))" } ?? ""
      let servers = lock.isInQuorum ? "a majority of the servers" : "the server"
      return "the lock was lost: \(servers) could not be asked to extend it in time\(why)"
    }

    /// Judges the command's end: a lock that was not held to the end is never a success.
    func judge(
      _ result: Result<Int32, ToolFailure>, wasHeld: Bool, _ lock: Lock, _ outcome: ReleaseOutcome?
    ) -> Result<Int32, ToolFailure> {
      guard case .success = result else { return result }
      if let loss = state.withLock({ $0.loss }) { return .failure(ToolFailure(.lost, loss)) }
      // The command has ended by itself, but may have done some of its work without the lock.
      if !wasHeld {
        return .failure(ToolFailure(.lost, describeLoss(of: lock)))
      }
      if let outcome, outcome != .released {
        return .failure(ToolFailure(.lost, describeLoss(of: lock)))
      }
      return result
    }

    /// Leaves a record of the run on the server, or notes in it how the run has ended.
    func record(
      _ lock: Lock, at locker: Locker, since start: ContinuousClock.Instant,
      _ ending: Result<Int32, ToolFailure>? = nil
    ) async throws {
      guard order.recordFor > .zero else { return }
      let end: (cause: String, status: Int32)? =
        switch ending {
        case nil: nil
        case .success(let status): ("exited", status)
        case .failure(let failure):
          (failure.status == ToolStatus.lost.rawValue ? "lost" : "not started", failure.status)
        }
      try await locker.record(
        lock, held: start.duration(to: .now), keptFor: order.recordFor, end: end)
    }

    /// The fields of all messages about the run, with those of one message.
    func fields(_ more: [String: Console.Field?] = [:]) -> Console.Fields {
      var fields: Console.Fields = ["key": .text(order.list)]
      for case (let name, let field?) in more { fields[name] = field }
      return fields
    }
  }
#endif
