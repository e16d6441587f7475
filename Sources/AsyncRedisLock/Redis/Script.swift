/// A script that the server runs in one step.
package struct Script: Sendable {
  package let source: String
  package let digest: String

  package static let acquire = Self(PackageResources.acquire_lua)
  package static let poll = Self(PackageResources.poll_lua)
  package static let refresh = Self(PackageResources.refresh_lua)
  package static let extend = Self(PackageResources.extend_lua)
  package static let release = Self(PackageResources.release_lua)
  package static let releaseGroup = Self(PackageResources.release_group_lua)
  package static let keep = Self(PackageResources.keep_lua)
  package static let adopt = Self(PackageResources.adopt_lua)
  package static let restore = Self(PackageResources.restore_lua)
  package static let fence = Self(PackageResources.fence_lua)
  package static let inspect = Self(PackageResources.inspect_lua)
  package static let record = Self(PackageResources.record_lua)
  package static let list = Self(PackageResources.list_lua)
  package static let trial = Self(PackageResources.trial_lua)
  package static let forceRelease = Self(PackageResources.force_release_lua)

  /// The files that scripts include.
  private static let parts: [(name: String, text: [UInt8])] = [
    ("queue.lua", PackageResources.queue_lua), ("master.lua", PackageResources.master_lua),
  ]

  /// Reads a script; a line such as `-- include queue.lua` stands for that file.
  ///
  /// A script gets the number of the request behind its arguments, and includes it in its answer. So a duplicate
  /// answer does not pass for the next one. The part before a line `-- answer` does that itself.
  private init(_ bytes: [UInt8]) {
    let text = Self.parts.reduce(String(decoding: bytes, as: UTF8.self)) { text, part in
      text.replacing("-- include \(part.name)\n", with: String(decoding: part.text, as: UTF8.self))
    }
    let parts = text.split(separator: "-- answer\n")
    let (start, body) = (parts.dropLast().joined(), parts.last ?? "")
    source = """
      \(start)
      local question = tonumber(table.remove(ARGV))
      local function answer()
      \(body)
      end
      return {question, answer()}
      """
    digest = SHA1.hexadecimalDigest(of: Array(source.utf8))
  }

  /// Encodes the first three words of a command that runs the script; its keys and arguments have to follow.
  func append(to buffer: inout CommandBuffer, bySource: Bool, keyCount: Int) {
    if bySource, buffer.needsSource(of: digest) {
      buffer.append(encoded: "$4\r\nEVAL\r\n")
      buffer.append(source)
    } else {
      buffer.append(encoded: "$7\r\nEVALSHA\r\n")
      buffer.append(digest)
    }
    buffer.append(Int64(keyCount))
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
