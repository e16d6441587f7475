#if CommandLineTool
  import AsyncRedisLock

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The exit statuses of `redis-lock`, besides its command's; from `sysexits.h` where they fit.
  enum ToolStatus: Int32, CaseIterable {
    /// The check has found a problem.
    case problem = 1
    /// Bad usage.
    case usage = 64
    /// The server cannot be reached.
    case unreachable = 69
    /// The system lacks a resource, such as threads, processes or /proc.
    case system = 71
    /// The output cannot be written.
    case output = 74
    /// The lock could not be acquired before the timeout.
    case notAcquired = 75
    /// The lock was lost while the command ran.
    case lost = 76
    /// The server refused, for instance the login or a command.
    case refused = 77
    /// The command was found but could not be started.
    case notExecutable = 126
    /// The command was not found.
    case notFound = 127
  }

  /// The reason why `redis-lock` ends without success.
  struct ToolFailure: Error, CustomStringConvertible {
    let status: Int32
    let description: String
    /// Whether the same command may succeed later.
    let isRetryable: Bool
    /// The subjects of the failure, for programs.
    var fields: Console.Fields = [:]

    init(_ status: ToolStatus, _ description: String, _ fields: Console.Fields = [:]) {
      self.init(status, description, isRetryable: false)
      self.fields = fields
    }

    private init(_ status: ToolStatus, _ description: String, isRetryable: Bool) {
      self.status = status.rawValue
      self.description = description
      self.isRetryable = isRetryable
    }

    /// Creates the failure for a signal that ended the wait.
    init(signal: Int32) {
      status = 128 + signal
      description = "interrupted while waiting for the lock"
      isRetryable = false
    }

    /// Creates the failure for an error, maybe about one of several servers.
    init(_ error: LockError, about subject: String? = nil) {
      let status: ToolStatus =
        switch error.code {
        case .timeout, .tooManyWaiters, .wouldDeadlock: .notAcquired
        case .lost: .lost
        case .refused, .tlsFailed: .refused
        case .unreachable, .closed: .unreachable
        default: .usage
        }
      let text = error.description
      self.init(
        status, subject.map { "\($0): \(text)" } ?? text, isRetryable: error.isRetryable)
      if let holder = error.holder { fields["holder"] = .text(holder.description) }
      if let waited = error.waited { fields["waited"] = .seconds(waited) }
    }

    /// Creates the failure for any error.
    init(of error: any Error) {
      self =
        error as? ToolFailure ?? (error as? LockError).map { ToolFailure($0) }
        ?? ToolFailure(.problem, "\(error)")
    }

    /// Ends the process with the status that a body returns, or reports why it failed.
    ///
    /// `conflict` is the status for a lock that could not be acquired, and `signal` returns the signal that has
    /// ended the command or the wait.
    static func reported(
      by console: Console, conflict: UInt8? = nil, fields: Console.Fields = [:],
      signal: () -> Int32? = { nil }, _ body: () async throws -> Int32
    ) async -> Never {
      let ending: Result<Int32, ToolFailure>
      do {
        ending = .success(try await body())
      } catch {
        ending = .failure(ToolFailure(of: error))
      }
      end(with: ending, by: console, conflict: conflict, fields: fields, signal: signal())
    }

    /// Ends the process with a status, or reports why it failed.
    static func end(
      with ending: Result<Int32, ToolFailure>, by console: Console, conflict: UInt8? = nil,
      fields: Console.Fields, signal: Int32?
    ) -> Never {
      switch ending {
      case .success(let status): console.exit(status, endedBy: signal)
      case .failure(let failure):
        let isConflict = failure.status == ToolStatus.notAcquired.rawValue
        // If a conflict counts as success, or messages are off, a crontab on many hosts must not send mails.
        let status = isConflict ? conflict.map(Int32.init) ?? failure.status : failure.status
        if !(isConflict && (conflict == 0 || console.level == .error)) {
          let own: Console.Fields = ["exitStatus": .number(Int64(status))]
          let all = fields.merging(failure.fields) { $1 }.merging(own) { $1 }
          console.say(.error, failure.description, all)
        }
        console.exit(status, endedBy: signal)
      }
    }
  }
#endif
