/// A script that the server runs in one step.
struct Script: Sendable {
  private let source: String
  private let digest: String

  static let acquire = Self(PackageResources.acquire_lua)
  static let poll = Self(PackageResources.poll_lua)
  static let refresh = Self(PackageResources.refresh_lua)
  static let extend = Self(PackageResources.extend_lua)
  static let release = Self(PackageResources.release_lua)
  static let keep = Self(PackageResources.keep_lua)
  static let adopt = Self(PackageResources.adopt_lua)
  static let fence = Self(PackageResources.fence_lua)
  static let inspect = Self(PackageResources.inspect_lua)
  static let record = Self(PackageResources.record_lua)
  static let list = Self(PackageResources.list_lua)
  static let trial = Self(PackageResources.trial_lua)
  static let forceRelease = Self(PackageResources.force_release_lua)

  /// Reads a script; its line `-- include queue.lua` stands for that file.
  private init(_ bytes: [UInt8]) {
    let parts = String(decoding: bytes, as: UTF8.self).split(separator: "-- include queue.lua\n")
    source = parts.joined(separator: String(decoding: PackageResources.queue_lua, as: UTF8.self))
    digest = SHA1.hexadecimalDigest(of: Array(source.utf8))
  }

  /// The command that runs the script by its digest.
  func command(keys: [String], arguments: [String] = []) -> Command {
    var words: [String] = []
    words.reserveCapacity(3 + keys.count + arguments.count)
    words.append("EVALSHA")
    words.append(digest)
    words.append(String(keys.count))
    words += keys
    words += arguments
    return Command(words, scriptSource: source)
  }
}
