import Foundation
import PrivateRedis

/// What a stretch of time has cost: processor time of both sides, commands, and calls of `write`.
struct Usage {
  var clientSeconds = 0.0
  var serverSeconds = 0.0
  /// Commands on the wire, without those that scripts call.
  var commands = 0
  /// Calls of `write` by this process; nil where the system does not count them.
  var writes: Int?

  #if canImport(Darwin)
    private static let ownProcess = RUSAGE_SELF
  #else
    private static let ownProcess = CInt(RUSAGE_SELF.rawValue)
  #endif

  /// The totals up to now.
  static func now(_ server: RedisClient) throws -> Usage {
    var resources = rusage()
    unsafe getrusage(Self.ownProcess, &resources)
    let cpu = fields(try server("INFO", "cpu").string)
    let statistics = fields(try server("INFO", "commandstats").string)
    let io = try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)
    return Usage(
      clientSeconds: resources.ru_utime.seconds + resources.ru_stime.seconds,
      serverSeconds: (Double(cpu["used_cpu_user"] ?? "") ?? 0)
        + (Double(cpu["used_cpu_sys"] ?? "") ?? 0),
      commands: sentCommands.reduce(0) { $0 + calls(of: $1, in: statistics) },
      writes: fields(io)["syscw"].flatMap { Int($0) })
  }

  static func - (later: Self, earlier: Self) -> Self {
    var writes: Int?
    if let last = later.writes, let first = earlier.writes { writes = last - first }
    return Usage(
      clientSeconds: later.clientSeconds - earlier.clientSeconds,
      serverSeconds: later.serverSeconds - earlier.serverSeconds,
      commands: later.commands - earlier.commands, writes: writes)
  }

  /// What the library and the floor send when nobody contends; their scripts call none of these.
  private static let sentCommands = ["set", "incr", "getrange", "evalsha", "eval"]

  private static func calls(of command: String, in statistics: [String: String]) -> Int {
    let entry = statistics["cmdstat_\(command)"]?.split(separator: ",").first
    return entry?.split(separator: "=").last.flatMap { Int($0) } ?? 0
  }

  private static func fields(_ text: String?) -> [String: String] {
    var fields: [String: String] = [:]
    for line in (text ?? "").split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      fields[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces)
    }
    return fields
  }
}

extension timeval {
  fileprivate var seconds: Double { Double(tv_sec) + Double(tv_usec) / 1_000_000 }
}
