import ChaosLog
import Foundation

extension Nemesis {
  /// The limit of stopped clients; with more of them, few would be left to contend.
  private static let mostStopped = 2

  /// Stops a client for some milliseconds; false if enough clients are stopped.
  func stopClient(for milliseconds: Int) -> Bool {
    guard let lane = runningLane() else { return false }
    crew.workers[lane].stop()
    resume(lane, after: milliseconds)
    return true
  }

  /// Stops a client for longer than the ttl while a task of it has checked its lock but not yet written.
  func stopClientInWindow() -> Bool {
    guard canStopMore else { return false }
    let end = LogClock.now + .milliseconds(500)
    while LogClock.now < end {
      guard let lane = runningLane(where: { log.tasksInWindow(of: $0) > 0 }) else {
        Thread.sleep(forTimeInterval: 0.0005)
        continue
      }
      crew.workers[lane].stop()
      // Waits until the signal has arrived.
      Thread.sleep(forTimeInterval: 0.005)
      if log.tasksInWindow(of: lane) > 0 {
        resume(lane, after: profile.timing.ttl + draw(300...1200))
        return true
      }
      crew.workers[lane].resume()
    }
    return false
  }

  /// Kills a client and starts another; false if that has to wait.
  func killClient() throws -> Bool {
    // A holder that dies shows more than a client without a lock.
    let isChoosy = draw(0...1) == 0
    guard
      let lane = runningLane(where: { !isChoosy || log.tasksInWindow(of: $0) > 0 })
        ?? runningLane()
    else { return false }
    try crew.replace(lane)
    return true
  }

  private func resume(_ lane: Int, after milliseconds: Int) {
    let worker = crew.workers[lane]
    repair(after: milliseconds, concernsServer: false) { worker.resume() }
  }

  private var canStopMore: Bool {
    crew.workers.count { $0.isStopped } < Self.mostStopped
  }

  private func runningLane(where isWanted: (Int) -> Bool = { _ in true }) -> Int? {
    guard canStopMore else { return nil }
    let lanes = crew.workers.indices.filter { !crew.workers[$0].isStopped && isWanted($0) }
    return lanes.randomElement(using: &generator)
  }
}
