#if CommandLineTool
  import AsyncRedisLock

  /// A walk through the keys of a server with SCAN, which does not block the server.
  struct KeyWalk {
    let pattern: String
    var type = ListedKey.KeyType.string
    let locker: Locker

    /// The pattern for all keys with a prefix.
    static func pattern(forPrefix prefix: String) -> String { prefix.escapedForPattern + "*" }

    /// Hands over the keys page by page, each once.
    ///
    /// - Throws: ``LockError``, and any error that the body throws.
    func run(_ body: ([ListedKey]) async throws -> Void) async throws {
      guard locker.quorumSize == 0 else {
        // A record may be on any of the servers, and differ between them.
        let isRecord = type == .hash
        let keys = Self.merge(
          try await pages(), majority: isRecord ? 1 : locker.quorumMajority)
        if !keys.isEmpty { try await body(keys) }
        return
      }
      try await walk({ try await locker.page(from: $0, matching: pattern, ofType: type) }, body)
    }

    private func walk(
      _ page: (_ cursor: String) async throws -> (cursor: String, keys: [ListedKey]),
      _ body: ([ListedKey]) async throws -> Void
    ) async throws {
      // SCAN may name a key twice. By bytes: equal strings can be different keys.
      var seen: Set<[UInt8]> = []
      var cursor = "0"
      repeat {
        let (next, keys) = try await page(cursor)
        cursor = next
        let new = keys.filter { seen.insert($0.bytes).inserted }
        if !new.isEmpty { try await body(new) }
      } while cursor != "0"
    }

    // MARK: Several servers

    /// The keys on each server of a quorum; nil for a server that does not answer.
    ///
    /// - Throws: ``LockError`` if no majority answers.
    private func pages() async throws -> [[ListedKey]?] {
      let results = await withTaskGroup(
        of: Result<[ListedKey], any Error>.self, returning: [Result<[ListedKey], any Error>].self
      ) { group in
        for number in 0..<locker.quorumSize {
          group.addTask {
            do {
              var found: [ListedKey] = []
              try await walk {
                try await locker.page(
                  from: $0, matching: pattern, ofType: type, onMember: number)
              } _: {
                found += $0
              }
              return .success(found)
            } catch {
              return .failure(error)
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      try Task.checkCancellation()
      let answered = results.count { (try? $0.get()) != nil }
      if answered < locker.quorumMajority {
        for case .failure(let error) in results { throw error }
      }
      return results.map { try? $0.get() }
    }

    /// The strings that a majority may have with the same value, each as the last of its shortest majority sees it.
    static func merge(_ lists: [[ListedKey]?], majority: Int) -> [ListedKey] {
      struct Sight: Hashable {
        let bytes: [UInt8]
        let value: String
      }
      let silent = lists.count { $0 == nil }
      let sights = Dictionary(grouping: lists.compactMap(\.self).joined()) {
        Sight(bytes: $0.bytes, value: $0.value)
      }
      return sights.values.compactMap { keys in
        guard keys.count + silent >= majority else { return nil }
        // A negative time is for ever.
        let order = keys.sorted { one, other in
          one.milliseconds >= 0 && other.milliseconds >= 0
            ? one.milliseconds > other.milliseconds : one.milliseconds < other.milliseconds
        }
        return order[min(majority, order.count) - 1]
      }.sorted { $0.shown < $1.shown }
    }
  }
#endif
