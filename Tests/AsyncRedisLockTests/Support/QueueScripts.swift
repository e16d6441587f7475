import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

/// Speaks the protocol as another client library would: by the scripts alone.
struct QueueScripts {
  /// The answer to a poll.
  enum Answer: Equatable {
    case granted(first: UInt64)
    /// The keys were the token's already, by a grant that the waiter was not told of.
    case found(first: UInt64)
    case wait(counter: UInt64, holder: String, remaining: Int, isSilent: Bool, isHeard: Bool)

    var isGranted: Bool { if case .wait = self { false } else { true } }
    var holder: String? { if case .wait(_, let holder, _, _, _) = self { holder } else { nil } }
  }

  var client = RedisClient(.current)
  var prefix = "redis-lock:"

  /// Makes a token with an inbox of its own.
  static func token(_ label: String) -> String {
    func digits() -> String {
      let number = String(UInt64.random(in: .min ... .max), radix: 16)
      return String(repeating: "0", count: 16 - number.count) + number
    }
    return "rl1n:host:1:\(label):\(digits()):1:\(digits())"
  }

  /// The names of a key's helpers, by the rule in the text of the protocol.
  func helpers(of key: String) -> (queue: String, entries: String) {
    if let open = key.firstIndex(of: "{"),
      let close = key[open...].dropFirst().firstIndex(of: "}"), close > key.index(after: open)
    {
      return ("\(prefix)queue::\(key)", "\(prefix)entries::\(key)")
    }
    return ("\(prefix)queue:{\(key)}", "\(prefix)entries:{\(key)}")
  }

  /// The `KEYS` of the scripts for waiting.
  func names(_ keys: [String]) -> [String] {
    keys.flatMap { [$0, helpers(of: $0).queue, helpers(of: $0).entries] } + ["\(prefix)fence"]
  }

  func poll(
    _ token: String, _ keys: String..., ttl: Int = 30_000, lapse: Int = 60_000, numbers: Int = 1,
    seen: UInt64 = 0, raises: Bool = false, reservation: Int? = nil
  ) throws -> Answer {
    let answer = try run(
      "poll", names(keys),
      [
        prefix, token, String(ttl), String(lapse), String(numbers), String(seen),
        raises ? "1" : "0",
      ] + (reservation.map { [String($0)] } ?? []))
    let parts = try #require(answer.array)
    let number = try #require(parts[1].string.flatMap(UInt64.init))
    if parts[0].integer == 1 { return .granted(first: number) }
    if parts[0].integer == 2 { return .found(first: number) }
    try #require(parts.count == 6, "\(parts)")
    return .wait(
      counter: number, holder: try #require(parts[2].string),
      remaining: try #require(parts[3].integer), isSilent: parts[4].integer == 1,
      isHeard: parts[5].integer == 1)
  }

  /// The outcome of a release: whether all keys were the token's, and whether a waiter got one.
  struct Outcome: Equatable {
    let outcome: Int
    let handed: Int
  }

  func release(_ token: String, _ keys: String..., leaves: Bool = false) throws -> Outcome {
    let answer = try runWhole(
      .release, names(keys), [prefix, token] + (leaves ? ["1"] : []))
    let numbers = answer == .integer(1) ? [1, 0] : answer.array?.compactMap(\.integer) ?? []
    try #require(numbers.count == 2)
    return Outcome(outcome: numbers[0], handed: numbers[1])
  }

  func forceRelease(_ key: String) throws -> String? {
    try run("force-release", names([key]), [prefix]).string
  }

  func inspect(_ key: String) throws -> RedisValue {
    try run("inspect", [key, helpers(of: key).queue, helpers(of: key).entries], [])
  }

  func queue(_ key: String) throws -> [String] {
    try client("ZRANGE", helpers(of: key).queue, "0", "-1").array?.compactMap(\.string) ?? []
  }

  func holder(_ key: String) throws -> String? { try client("GET", key).string }

  func entry(_ token: String, _ key: String) throws -> String? {
    try client("HGET", helpers(of: key).entries, token).string
  }

  func score(_ token: String, _ key: String) throws -> String? {
    try client("ZSCORE", helpers(of: key).queue, token).string
  }

  /// Listens to a token's inbox; by default, no client does.
  func listen(as token: String) throws -> Listener {
    let locker = token.split(separator: ":", omittingEmptySubsequences: false)[4]
    return try Listener(channel: "\(prefix)inbox:\(locker)")
  }

  /// Runs a script as the library does, with the number of a request; if the answer is only that number, it stands
  /// for 1.
  func runWhole(
    _ script: Script, _ keys: [String], _ arguments: [String]
  ) throws -> RedisValue {
    let answer = try client(
      words: ["EVAL", script.source, String(keys.count)] + keys + arguments + ["4711"])
    if answer == .integer(4711) { return .integer(1) }
    let parts = try #require(answer.array)
    try #require(parts.count == 2 && parts[0] == .integer(4711), "\(answer)")
    return parts[1]
  }

  /// Runs a script with the scripts it includes.
  func run(_ name: String, _ keys: [String], _ arguments: [String]) throws -> RedisValue {
    try client(words: ["EVAL", try Self.source(name), String(keys.count)] + keys + arguments)
  }

  /// The script as the library embeds it, without its fast path that answers with the number of a request.
  static func source(_ name: String) throws -> String {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../../Sources/AsyncRedisLock/Redis/Scripts").standardizedFileURL
    func text(_ file: String) throws -> String {
      try String(contentsOf: folder.appending(path: file), encoding: .utf8)
    }
    let lines = try text("\(name).lua").split(separator: "\n", omittingEmptySubsequences: false)
    let body = lines.lastIndex(of: "-- answer").map { lines[$0...] } ?? lines[...]
    return
      try body
      .map { line in
        let mark = "-- include "
        return line.hasPrefix(mark) ? try text(String(line.dropFirst(mark.count))) : String(line)
      }
      .joined(separator: "\n")
  }
}
