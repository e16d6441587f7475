import AsyncRedisLock
import ChaosLog
import Foundation

/// A process that contends for the keys until it is told to end.
struct Worker {
  private let order: WorkerOrder
  private let log: ChaosLog

  /// Reads the order, and makes this process end with its parent.
  init(order: String) throws {
    self.order = try JSONDecoder().decode(WorkerOrder.self, from: Data(order.utf8))
    log = try ChaosLog(opening: self.order.log)
    Thread.detachNewThread {
      while readLine() != nil {}
      _exit(0)
    }
  }

  /// Works until the log says that the run is over; returns what is left behind then, or nil.
  func run() async throws -> String? {
    StallWatch.start(log)
    await warmUp()
    let before = OwnProcess.now()
    let sessions = CurrentSession()
    await withTaskGroup { group in
      for task in 0..<order.tasks {
        group.addTask { await contend(task, sessions) }
      }
      group.addTask { await reopen(sessions) }
    }
    await sessions.replace(with: nil)?.close()
    return await leftBehind(before)
  }

  private func contend(_ task: Int, _ sessions: CurrentSession) async {
    let seed = order.seed &+ UInt64(task) &* 0x1_0000_0001
    var contender = Contender(
      task: task, order: order, log: log, generator: SplitMix(seed: seed))
    while !log.isEnding {
      if let session = sessions.session {
        await contender.turn(session)
      } else {
        try? await Task.sleep(for: .milliseconds(5))
      }
    }
  }

  /// Opens a locker, and replaces it every few seconds.
  private func reopen(_ sessions: CurrentSession) async {
    var generator = SplitMix(seed: ~order.seed)
    while !log.isEnding {
      if let next = await connect() {
        await sessions.replace(with: next)?.close()
      }
      let end = LogClock.now + .milliseconds(Int.random(in: 3000...12000, using: &generator))
      while LogClock.now < end, !log.isEnding { try? await Task.sleep(for: .milliseconds(50)) }
    }
  }

  private func connect() async -> Session? {
    while !log.isEnding {
      if let locker = try? await order.locker() {
        return Session(locker, log: log)
      }
    }
    return nil
  }

  /// Uses once everything that the system keeps open from its first use on.
  private func warmUp() async {
    let name = "\(order.keyPrefix)warm-up-\(ownProcessID)"
    guard let session = await connect() else { return }
    let lock = try? await session.locker.acquire(name, options: order.options(timeout: .seconds(2)))
    async let waiting = session.locker.acquire(name, options: order.options(timeout: .seconds(2)))
    try? await Task.sleep(for: .milliseconds(20))
    _ = try? await lock?.release()
    _ = try? await waiting.release()
    await session.close()
  }

  /// The resources that have grown since before, once the system has had time to end idle threads.
  private func leftBehind(_ before: OwnProcess) async -> String? {
    let end = LogClock.now + .milliseconds(20_000)
    while true {
      let now = OwnProcess.now()
      // The threads of the pools come and go; the library has none of its own.
      if now.descriptors <= before.descriptors, now.threads <= before.threads + 8 { return nil }
      if LogClock.now > end {
        return "\(now.descriptors) descriptors and \(now.threads) threads at the end, where"
          + " \(before.descriptors) and \(before.threads) were at the start"
      }
      try? await Task.sleep(for: .milliseconds(50))
    }
  }
}
