import ChaosLog
import Foundation

/// The workers, each in a lane of its own, and their predecessors.
final class Crew {
  private let order: WorkerOrder
  private let folder: String
  private let log: ChaosLog
  private let urls: [String]
  private var generator: SplitMix
  private(set) var workers: [WorkerProcess] = []
  private var former: [WorkerProcess] = []

  /// Starts the workers, which reach the server in different ways.
  ///
  /// - Throws: A Foundation error.
  init(
    _ count: Int, _ order: WorkerOrder, urls: [String], folder: String, _ log: ChaosLog
  ) throws {
    self.order = order
    self.urls = urls
    self.folder = folder
    self.log = log
    generator = SplitMix(seed: order.seed)
    for lane in 0..<count { workers.append(try start(lane)) }
  }

  /// Kills the worker of a lane and starts another.
  ///
  /// - Throws: A Foundation error.
  func replace(_ lane: Int) throws {
    let worker = workers[lane]
    worker.kill()
    while !worker.hasEnded { Thread.sleep(forTimeInterval: 0.001) }
    log.note(Episode(.kill, process: worker.id, from: LogClock.now, to: LogClock.now))
    log.clearWindow(of: lane)
    former.append(worker)
    workers[lane] = try start(lane)
  }

  /// Waits until all have ended; after the limit, ends the rest and reports what they were doing.
  func waitForEnd(within limit: UInt64) -> [Finding] {
    let end = LogClock.now + limit
    while !workers.allSatisfy(\.hasEnded), LogClock.now < end {
      Thread.sleep(forTimeInterval: 0.01)
    }
    let late = workers.filter { !$0.hasEnded }
    let findings = late.map {
      Finding(.late, "Process \($0.id) has not ended \(limit.inSeconds) s after it was told to.")
    }
    for worker in late { worker.end() }
    return findings + complaints
  }

  /// The workers that ended in an unexpected way.
  var complaints: [Finding] {
    (former + workers).compactMap { worker in
      worker.complaint.map {
        Finding($0.contains("descriptors") ? .leftBehind : .crash, $0)
      }
    }
  }

  private func start(_ lane: Int) throws -> WorkerProcess {
    var order = order
    order.lane = lane
    order.seed = generator.next()
    order.url = urls[lane % urls.count]
    return try WorkerProcess(order, folder: folder)
  }
}
