import Foundation

/// The work of some servers so far.
struct ServerUsage {
  let cpuSeconds: Double
  let memoryBytes: Double
  private let calls: [String: Int]

  /// Asks the servers, and adds up what they say.
  static func now(_ connections: [HiredisConnection]) throws -> ServerUsage {
    let each = try connections.map(now)
    return ServerUsage(
      cpuSeconds: each.reduce(0) { $0 + $1.cpuSeconds },
      memoryBytes: each.reduce(0) { $0 + $1.memoryBytes },
      calls: each.reduce(into: [:]) { $0.merge($1.calls, uniquingKeysWith: +) })
  }

  private static func now(_ connection: HiredisConnection) throws -> ServerUsage {
    let cpu = try information("cpu", connection)
    let calls = try information("commandstats", connection).map { name, value in
      // cmdstat_set:calls=3,usec=9,…
      let count = value.prefix { $0 != "," }.split(separator: "=").last
      return (String(name.dropFirst("cmdstat_".count)), count.flatMap { Int($0) } ?? 0)
    }
    let memory = try information("memory", connection)["used_memory_rss"]
    return ServerUsage(
      cpuSeconds: (cpu["used_cpu_user"].flatMap(Double.init) ?? 0)
        + (cpu["used_cpu_sys"].flatMap(Double.init) ?? 0),
      memoryBytes: memory.flatMap(Double.init) ?? 0,
      calls: Dictionary(calls, uniquingKeysWith: +))
  }

  /// How many commands the contestant has sent, without those that its scripts call.
  func commands(of contestant: Contestant) -> Int {
    let count = Self.neverInScripts.reduce(0) { $0 + calls[$1, default: 0] }
    return switch contestant {
    // Its `SET` and `INCR` outside of scripts come with a `GETRANGE`, which no script calls.
    case .library: count + 2 * calls["getrange", default: 0]
    case .floor: count + calls["set", default: 0]
    case .crate: count
    }
  }

  private static let neverInScripts = [
    "evalsha", "eval", "getrange", "rpush", "blpop", "subscribe", "unsubscribe", "ping", "auth",
    "select", "hello", "script|load", "client|setname",
  ]

  private static func information(
    _ section: String, _ connection: HiredisConnection
  ) throws -> [String: String] {
    guard case .text(let text) = try connection.call(["INFO", section]) else { return [:] }
    var fields: [String: String] = [:]
    for line in text.split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
    }
    return fields
  }
}
