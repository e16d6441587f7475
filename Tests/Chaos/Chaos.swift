import Foundation
import PrivateRedis

/// Exercises locks under every kind of fault, for any length of time.
///
/// `Chaos soak [--minutes 1] [--seed N] [--profile NAME] [--json FILE]` breaks things, in all profiles or in one.
///
/// `Chaos endure [--minutes 60] [--pairs 1000000]` does both kinds of work, or the one that is named, and checks
/// for growth.
@main
enum Chaos {
  static func main() async throws {
    let arguments = Arguments(CommandLine.arguments.dropFirst())
    switch arguments.command {
    case "soak" where arguments.rest != "--help": try soak(arguments)
    case "endure" where arguments.rest != "--help":
      if try await !endure(arguments) { exit(1) }
    case "worker":
      guard let complaint = try await Worker(order: arguments.rest).run() else { exit(0) }
      print(complaint)
      exit(3)
    default:
      print("usage: Chaos soak [--minutes N] [--seed N] [--profile NAME] [--json FILE]")
      print("       Chaos endure [--minutes N] [--pairs N] [--seed N]")
      exit(64)
    }
  }

  private static func endure(_ arguments: Arguments) async throws -> Bool {
    let (minutes, pairs) = (try arguments.number("minutes"), try arguments.number("pairs"))
    let endure = Endure(seed: try arguments.number("seed").map { UInt64($0) } ?? 1)
    var isFlat = true
    if pairs != nil || minutes == nil {
      isFlat = try await endure.pair(Int(pairs ?? 1_000_000)) && isFlat
    }
    if minutes != nil || pairs == nil {
      isFlat = try await endure.mix(minutes: minutes ?? 60) && isFlat
    }
    return isFlat
  }

  private static func soak(_ arguments: Arguments) throws {
    let seed = try arguments.number("seed").map { UInt64($0) } ?? UInt64.random(in: 1..<1 << 32)
    let seconds = (try arguments.number("minutes") ?? 1) * 60
    let profiles: [(Profile, Double)]
    if let name = arguments["profile"] {
      guard let profile = Profile(rawValue: name), Profile.available.contains(profile) else {
        throw Arguments.Bad("profile \(name)")
      }
      profiles = [(profile, seconds)]
    } else {
      profiles = Profile.available.map { ($0, seconds * $0.share) }
    }
    print("Faults for \(Int(seconds)) s, seed \(seed).\n")
    var summaries: [Summary] = []
    for (profile, seconds) in profiles {
      let summary = try Soak(profile: profile, seed: seed, seconds: seconds).run()
      print(summary.text + "\n")
      fflush(nil)
      summaries.append(summary)
    }
    if let path = arguments["json"] {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try encoder.encode(summaries).write(to: URL(filePath: path))
    }
    let violations = summaries.reduce(0) { $0 + $1.findings.count }
    print(violations == 0 ? "No violations." : "\(violations) violations, seed \(seed).")
    if violations > 0 { exit(1) }
  }
}
