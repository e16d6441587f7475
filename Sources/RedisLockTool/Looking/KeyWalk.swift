#if CommandLineTool
  import AsyncRedisLock

  /// A walk through the keys of a server with SCAN, which does not block the server.
  struct KeyWalk {
    let pattern: String
    let locker: Locker

    /// The pattern for all keys with a prefix.
    static func pattern(forPrefix prefix: String) -> String {
      prefix.reduce(into: "") { pattern, character in
        if "*?[]^-\\".contains(character) { pattern.append("\\") }
        pattern.append(character)
      } + "*"
    }

    /// Hands over the strings page by page, each once.
    ///
    /// - Throws: ``LockError``, and any error that the body throws.
    func run(_ body: ([ListedKey]) async throws -> Void) async throws {
      // SCAN may name a key twice. By bytes: equal strings can be different keys.
      var seen: Set<[UInt8]> = []
      var cursor = "0"
      repeat {
        let (next, keys) = try await locker.page(from: cursor, matching: pattern)
        cursor = next
        let new = keys.filter { seen.insert($0.bytes).inserted }
        if !new.isEmpty { try await body(new) }
      } while cursor != "0"
    }
  }
#endif
