import AsyncRedisLock
import Foundation

/// What calls to a hostile server cost this process, measured by itself: no other test is in the numbers.
///
/// Keys that begin with `hostile` are those that the server is hostile about, `late` those that it lets be
/// taken.
enum Ordeal {
  /// Goes through it and tells of each call: its name, milliseconds that it took, milliseconds of
  /// processor time, KiB of memory that the process has grown by, and how it ended.
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
    // What the runtime loads with the first task and the first error is no cost of the server's.
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
    /// A locker that has no trouble yet.
    func locker() async throws -> Locker { try await Locker(configuration: configuration) }
    do {
      let waiter = try await locker()
      if name == "wait" {
        await measure("wait") { _ = try await waiter.acquire("hostile", options: options) }
        // The connection that listens goes on when nobody waits any more.
        return await measure("idle") { try await Task.sleep(for: .milliseconds(500)) }
      }
      let lock = try await waiter.acquire("late", options: options)
      await measure("extend") { try await lock.extend(by: .seconds(9)) }
      let other = try await locker().acquire("late", options: options)
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
    /// Not of `getrusage`, which counts in what the parent had when it forked.
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
