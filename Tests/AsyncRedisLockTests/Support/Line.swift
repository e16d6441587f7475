import AsyncRedisLock
import Testing

/// Tasks that get in line for one lock in a known order, and a record of its holders.
///
/// All tasks begin on the actor, in the order of the calls. The library's calls continue there until they have to
/// wait, so a task that arrives later is behind in the locker's queue.
actor Line {
  /// A holder of the lock.
  struct Turn: Sendable {
    let name: String
    let index: Int
    let fence: UInt64
  }

  private(set) var turns: [Turn] = []
  private(set) var arrived = 0
  private var holding = 0
  private var tasks: [Task<Void, any Error>] = []

  /// Makes this many tasks wait for the lock, hold it for a time and give it back, each this many times.
  ///
  /// A task goes to the end of the line after each turn. Its turns are recorded under the name.
  func join(
    _ locker: Locker, for key: String, count: Int, rounds: Int = 1, name: String = "",
    options: LockOptions = .patient, hold: Duration? = nil
  ) {
    for index in 0..<count {
      tasks.append(
        Task {
          arrived += 1
          for _ in 0..<rounds {
            let lock = try await locker.acquire(key, options: options)
            enter(lock, name, index)
            if let hold { try await Task.sleep(for: hold) }
            leave(lock)
            try await lock.release()
          }
        })
    }
  }

  /// Cancels the task with this number, counted over all calls of `join`.
  func cancel(_ number: Int) { tasks[number].cancel() }

  func cancelAll() { for task in tasks { task.cancel() } }

  /// Waits for all tasks; returns how many were cancelled.
  @discardableResult
  func finish() async throws -> Int {
    var cancelled = 0
    for task in tasks {
      do {
        try await task.value
      } catch is CancellationError {
        cancelled += 1
      }
    }
    return cancelled
  }

  /// Waits until this many tasks have begun to wait.
  func waitForArrivals(_ count: Int, within limit: Duration = .seconds(10)) async {
    await eventually(within: limit, "\(count) wait") { arrived == count }
  }

  private func enter(_ lock: Lock, _ name: String, _ index: Int) {
    holding += 1
    #expect(holding == 1, "the lock has two holders")
    #expect(lock.isHeld)
    turns.append(Turn(name: name, index: index, fence: lock.fencingToken ?? 0))
  }

  private func leave(_ lock: Lock) {
    holding -= 1
    #expect(lock.isHeld)
  }
}

extension [Line.Turn] {
  /// Whether each number is greater than the one before.
  var hasRisingFences: Bool { zip(self, dropFirst()).allSatisfy { $0.fence < $1.fence } }

  /// The lengths of runs of turns with the same name, in order.
  var runs: [(name: String, count: Int)] {
    reduce(into: []) { runs, turn in
      if runs.last?.name == turn.name {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((turn.name, 1))
      }
    }
  }
}
