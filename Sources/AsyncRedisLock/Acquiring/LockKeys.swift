/// The keys that one lock covers: at least one, each once, in the order of their bytes.
///
/// The order is the same in every process, so two locks on the same keys cannot block each other for good. Keys
/// are the same if their bytes are, as on the server. Swift's strings are also equal if they only look the same,
/// such as the two ways of writing "é".
package struct LockKeys: Sendable, Hashable {
  /// The keys as they are sent.
  package let names: [String]
  /// The hash of the names, which are looked up several times for each lock.
  private let digest: Int

  /// The greatest length of all keys together, in bytes.
  ///
  /// The names of queues and the messages of grants are longer than the keys in them. This is half of the smallest
  /// limit that a server can set for a string (`proto-max-bulk-len`, 1 MiB). The other half leaves room for those:
  /// a lock that can be taken can be released.
  package static let longest = 512 << 10

  /// The most that the places of one waiter may take on the server, in bytes.
  ///
  /// A waiter has a place in the queue of each key. Each place contains all keys, for the client that hands the lock
  /// on. The server makes them in one script, and answers no other client meanwhile. That took 0.1 s for places of 12 MB,
  /// and 5 s for 632 MB: longer than the usual ttl.
  static let largestPlaces = 16 << 20

  /// Checks and sorts `keys`.
  ///
  /// - Throws: ``LockError/Code/invalidKey`` if there are no keys, one is empty, or they are too long or too many.
  package init(_ keys: [String], longest: Int = Self.longest) throws(LockError) {
    guard !keys.isEmpty else { throw LockError(.invalidKey, "at least one key must be given") }
    // By place, since an element would be copied.
    for place in keys.indices {
      guard !keys[place].isEmpty else {
        throw LockError(.invalidKey, "a key must not be empty", keys: keys)
      }
      guard keys[place].utf8.count <= longest else {
        throw LockError(
          .invalidKey,
          "a key (\(keys[place].abbreviatedForMessage)) must be at most \(longest) bytes long",
          keys: keys)
      }
    }
    // The great majority of locks have one key.
    names = keys.count == 1 ? keys : Self.sortedUnique(keys)
    digest = Self.digest(of: names)
    let length = names.reduce(0) { $0 + $1.utf8.count }
    guard length <= longest else {
      throw LockError(
        .invalidKey,
        "the keys of a lock must be at most \(longest) bytes long together, not \(length)",
        keys: keys)
    }
    let places = names.count * length
    guard places <= Self.largestPlaces else {
      throw LockError(
        .invalidKey,
        "the number of keys of a lock (\(names.count)) times their length together (\(length) bytes) must be at "
          + "most \(Self.largestPlaces)", keys: keys)
    }
  }

  /// Wraps names that are checked and sorted already.
  init(checked names: [String]) {
    self.names = names
    digest = Self.digest(of: names)
  }

  /// Hashes the bytes: strings that only look the same have one hash of their own, whatever the seed, so that
  /// chosen keys could slow all look-ups down.
  private static func digest(of names: [String]) -> Int {
    var hasher = Hasher()
    for place in names.indices {
      let isHashed: Void? = unsafe names[place].utf8.withContiguousStorageIfAvailable {
        unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0))
      }
      if isHashed == nil {
        unsafe Array(names[place].utf8).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
      }
      // No UTF-8 contains this byte: it separates the names.
      hasher.combine(UInt8.max)
    }
    return hasher.finalize()
  }

  private static func sortedUnique(_ keys: [String]) -> [String] {
    var unique: [String] = []
    unique.reserveCapacity(keys.count)
    for key in keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      if let last = unique.last, last.hasSameBytes(as: key) { continue }
      unique.append(key)
    }
    return unique
  }

  /// Compares the bytes.
  package static func == (lhs: LockKeys, rhs: LockKeys) -> Bool {
    guard lhs.digest == rhs.digest else { return false }
    return unsafe lhs.names.withUnsafeBufferPointer { names in
      unsafe rhs.names.withUnsafeBufferPointer { others in
        // Mostly, both are the same array.
        unsafe names.baseAddress == others.baseAddress
          || names.elementsEqual(others) { $0.hasSameBytes(as: $1) }
      }
    }
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}
