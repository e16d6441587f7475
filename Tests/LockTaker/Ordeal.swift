import AsyncRedisLock
import Foundation

/// Measures the cost of calls to a hostile server in a process of its own, without other tests in the numbers.
///
/// The server is hostile about keys that begin with `hostile`, and grants those that begin with `late`.
enum Ordeal {
  /// Runs an ordeal, and reports each call.
  ///
  /// A report has the name, the milliseconds, the milliseconds of processor time, the growth of the process in KiB,
  /// and the outcome.
  static func run(_ url: String, _ name: String) async {
    var configuration: LockerConfiguration
    do {
      configuration = try LockerConfiguration(url: url)
    } catch {
      return print("\(error)")
    }
    configuration.connectTimeout = .milliseconds(150)
    configuration.operationTimeout = .milliseconds(150)
    let options = LockOptions(timeout: .milliseconds(150), extend: nil)
    // The runtime loads code with the first task and the first error; that is no cost of the server's.
    _ = try? await Locker(configuration: .init(address: .unixSocket(path: "/nowhere")))
    let memory = peakMemory
    func measure(_ name: String, _ call: () async throws -> Void) async {
      let (start, work) = (ContinuousClock.now, processorTime)
      var outcome = "success"
      do {
        try await call()
      } catch let error as LockError {
        outcome = "\(error.code)"
      } catch {
        outcome = "\(type(of: error))"
      }
      let took = start.duration(to: .now)
      print(
        name, took.inMilliseconds, (processorTime - work).inMilliseconds, peakMemory - memory,
        outcome)
    }
    if name == "connect" {
      return await measure("connect") {
        _ = try await Locker(configuration: configuration).acquire("hostile", options: options)
      }
    }
    /// Makes what a measured call needs; its timeouts are too short for a busy machine.
    func prepare<Value>(_ make: () async throws -> Value) async throws -> Value {
      let end = ContinuousClock.now + .seconds(10)
      while true {
        do {
          return try await make()
        } catch  where ContinuousClock.now < end {}
      }
    }
    /// A locker without any trouble yet.
    func locker() async throws -> Locker {
      try await prepare { try await Locker(configuration: configuration) }
    }
    do {
      let waiter = try await locker()
      if name == "wait" {
        await measure("wait") { _ = try await waiter.acquire("hostile", options: options) }
        // The listening connection stays when no call waits any more.
        return await measure("idle") { try await Task.sleep(for: .milliseconds(500)) }
      }
      let lock = try await prepare { try await waiter.acquire("late", options: options) }
      await measure("extend") { try await lock.extend(by: .seconds(9)) }
      let other = try await prepare { try await locker().acquire("late", options: options) }
      await measure("release") { _ = try await other.release() }
      let taker = try await locker()
      await measure("acquire") { _ = try await taker.acquire("hostile", options: options) }
      let collector = try await locker()
      await measure("several") {
        _ = try await collector.acquire(["hostile", "hostile 2"], options: options)
      }
      let trier = try await locker()
      await measure("available") {
        _ = try await trier.acquireIfAvailable("hostile", options: options)
      }
      let inspector = try await locker()
      await measure("inspect") { _ = try await inspector.inspect("hostile") }
      let breaker = try await locker()
      await measure("force") { _ = try await breaker.forceRelease("hostile") }
      await measure("close") { await waiter.close() }
    } catch {
      print("\(error)")
    }
  }

  private static var processorTime: Duration { .microseconds(Int(clock())) }

  #if canImport(Darwin)
    private static var peakMemory: Int {
      var usage = rusage()
      _ = unsafe getrusage(RUSAGE_SELF, &usage)
      return usage.ru_maxrss / 1024
    }
  #else
    /// Not taken from `getrusage`, which includes the parent's memory at the fork.
    private static var peakMemory: Int {
      let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
      return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
    }
  #endif
}

extension Duration {
  fileprivate var inMilliseconds: Int { Int(self / .milliseconds(1)) }
}
