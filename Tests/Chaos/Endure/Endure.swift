import AsyncRedisLock
import ChaosLog
import Foundation
import PrivateRedis

/// Does everything the library offers in one process for a long time; the process must not grow.
struct Endure {
  /// How much more memory the process may use at the end than after warming up.
  ///
  /// The allocator keeps some of what was freed in pieces, and the amount varies; a leak would keep growing.
  private static let growth = 8 << 20
  /// How many more descriptors and threads than after warming up are allowed; both come and go with connections.
  private static let moreDescriptors = 12
  private static let moreThreads = 12

  let seed: UInt64

  /// Does mixed work for this many minutes, and samples twelve times, or once a minute if that is more often.
  ///
  /// - Returns: Whether nothing has grown.
  /// - Throws: ``RedisError`` or a ``LockError`` if there is no server.
  func mix(minutes: Double) async throws -> Bool {
    let server = try RedisServer(listen: .tcp)
    defer { server.stop() }
    let work = try await EndureWork(server: server)
    let seconds = minutes * 60
    let count = max(12, Int(minutes))
    print("minute   memory/kB  descriptors  threads       calls")
    var samples: [OwnProcess] = []
    let start = LogClock.now
    try await withThrowingTaskGroup { group in
      group.addTask { await work.run(seed: seed) }
      for index in 1...count {
        try await Task.sleep(
          for: .seconds(seconds * Double(index) / Double(count) - (LogClock.now - start).inSeconds))
        let now = OwnProcess.now()
        samples.append(now)
        print(Self.row((LogClock.now - start).inSeconds / 60, now, work.calls))
        fflush(nil)
      }
      work.end()
      try await group.waitForAll()
    }
    return judge(samples)
  }

  /// Takes and releases a lock over and over, and compares the memory before and after.
  ///
  /// - Returns: Whether nothing has grown.
  /// - Throws: ``RedisError`` or a ``LockError``.
  func pair(_ count: Int) async throws -> Bool {
    let server = try RedisServer()
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    print("  pairs   memory/kB  descriptors  threads")
    let steps = 10
    var samples: [OwnProcess] = []
    // The first step is to warm up, and does not count.
    for step in 0...steps {
      for _ in 0..<count / steps { try await locker.acquire("pairs").release() }
      let now = OwnProcess.now()
      samples.append(now)
      print(Self.row(Double(count / steps * step), now, nil))
      fflush(nil)
    }
    await locker.close()
    return judge(samples)
  }

  /// Compares the last third with the second: the first is for warming up.
  private func judge(_ samples: [OwnProcess]) -> Bool {
    let third = max(samples.count / 3, 1)
    let middle = samples.dropFirst(third).dropLast(third)
    let last = samples.suffix(third)
    func mean(_ samples: some Collection<OwnProcess>, _ path: KeyPath<OwnProcess, Int>) -> Int {
      samples.reduce(0) { $0 + $1[keyPath: path] } / max(samples.count, 1)
    }
    let checks = [
      ("memory", \OwnProcess.memory, Self.growth),
      ("descriptors", \.descriptors, Self.moreDescriptors),
      ("threads", \.threads, Self.moreThreads),
    ]
    var isFlat = true
    for (name, path, limit) in checks {
      let (before, after) = (mean(middle, path), mean(last, path))
      let grows = after > before + limit
      isFlat = isFlat && !grows
      print("\(grows ? "✘" : "✔") \(name): \(before) in the second third, \(after) in the last")
    }
    return isFlat
  }

  private static func row(_ mark: Double, _ sample: OwnProcess, _ calls: Int?) -> String {
    let mark = calls == nil ? "\(Int(mark))" : "\((mark * 10).rounded() / 10)"
    let cells: [(String, Int)] = [
      (mark, 7), ("\(sample.memory >> 10)", 12), ("\(sample.descriptors)", 13),
      ("\(sample.threads)", 9), (calls.map(String.init) ?? "", 12),
    ]
    return cells.map { text, width in
      String(repeating: " ", count: max(0, width - text.count)) + text
    }.joined()
  }
}
