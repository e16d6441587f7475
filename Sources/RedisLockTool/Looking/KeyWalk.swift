#if CommandLineTool
  import AsyncRedisLock

  /// A walk through the keys of a server with SCAN, which does not hold the server up.
  struct KeyWalk {
    let pattern: String
    let locker: Locker

    /// The pattern of all that begins with a prefix.
    static func pattern(forPrefix prefix: String) -> String {
      prefix.reduce(into: "") { pattern, character in
        if "*?[]^-\\".contains(character) { pattern.append("\\") }
        pattern.append(character)
      } + "*"
    }

    /// Hands over the names of strings page by page, each once.
    ///
    /// - Throws: ``ToolFailure`` when the server refuses, and what the body throws.
    func run(_ body: ([String]) async throws -> Void) async throws {
      // SCAN may name a key twice. By bytes: equal strings can be different keys.
      var seen: Set<[UInt8]> = []
      var cursor = "0"
      repeat {
        let scan = ["SCAN", cursor, "MATCH", pattern, "COUNT", "1000", "TYPE", "string"]
        let (next, keys) = try Self.page(try await locker.ask([scan]))
        cursor = next
        let new = keys.filter { seen.insert(Array($0.utf8)).inserted }
        if !new.isEmpty { try await body(new) }
      } while cursor != "0"
    }

    private static func page(_ replies: [Reply]) throws -> (cursor: String, keys: [String]) {
      switch replies.first {
      case .array(let parts):
        guard parts.count == 2, case .string(let cursor) = parts[0],
          case .array(let keys) = parts[1]
        else { break }
        let names = keys.compactMap { if case .string(let key) = $0 { key } else { nil } }
        return (cursor, names)
      case .error(let error): throw ToolFailure(.refused, error.message)
      default: break
      }
      throw ToolFailure(.refused, "the server does not list its keys")
    }
  }
#endif
