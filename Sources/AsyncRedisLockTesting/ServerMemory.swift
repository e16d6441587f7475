internal import AsyncRedisLock

/// A simulated server whose keys and tokens have names.
struct ServerMemory {
  /// A key that a waiter was given, with its fencing tokens.
  struct Grant {
    let client: Int
    let claim: Claim
    let numbers: Range<UInt64>
  }

  var server = SimulatedServer(keyCount: 0)
  // Compared by their bytes, as on the server.
  private var keys: [[UInt8]: Int] = [:]
  private var keyNames: [String] = []
  private var tokens: [[UInt8]: Int] = [:]
  private var tokenNames: [Int: String] = [:]
  private var tokenCount = 0

  /// With more tokens than this, those of no further use are forgotten.
  private static let mostTokens = 4096

  /// Sets the time, counted from the start of the server.
  mutating func setTime(_ time: Duration) {
    let (seconds, attoseconds) = time.components
    server.time = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
  }

  /// How many milliseconds a key lives.
  ///
  /// On the server, a key still lives in the last of its milliseconds; here it is free as soon as a test has let
  /// its whole time pass.
  static func life(_ time: Duration) -> Int64 {
    max((time - .nanoseconds(1)).wholeMilliseconds, 0)
  }

  // MARK: Names and numbers

  /// The number of a key.
  mutating func number(of key: String) -> Int {
    let bytes = Array(key.utf8)
    if let number = keys[bytes] { return number }
    keys[bytes] = keyNames.count
    keyNames.append(key)
    server.locks.append(.init())
    return keyNames.count - 1
  }

  /// The numbers of the keys and of the token of a client's claim.
  mutating func numbers(of claim: Claim, client: Int) -> (keys: [Int], token: Int) {
    (claim.keys.map { number(of: $0) }, number(of: claim.token, client: client))
  }

  /// The number of a token of a client.
  mutating func number(of token: String, client: Int) -> Int {
    let bytes = Array(token.utf8)
    if let number = tokens[bytes] { return number }
    if tokens.count >= Self.mostTokens { forgetTokens() }
    tokenCount += 1
    let number = SimulatedServer.token(tokenCount, of: client)
    tokens[bytes] = number
    tokenNames[number] = token
    return number
  }

  func name(of token: Int) -> String { tokenNames[token] ?? "" }

  /// Forgets tokens that neither hold a key nor wait for one.
  private mutating func forgetTokens() {
    var used: Set<Int> = []
    for lock in server.locks {
      if let value = lock.value { used.insert(value) }
      for entry in lock.queue { used.insert(entry.token) }
    }
    tokens = tokens.filter { used.contains($0.value) }
    tokenNames = tokenNames.filter { used.contains($0.key) }
  }

  // MARK: Looking

  var lockedKeys: [String] {
    mutating get {
      keyNames.indices.filter { server.value($0) != nil }.map { keyNames[$0] }.sorted()
    }
  }

  mutating func holder(of key: String) -> String? { server.value(number(of: key)).map(name) }

  /// The holder of a key, and the time left.
  mutating func state(of key: Int) -> KeyState {
    KeyState(
      holder: server.value(key).map(name),
      remaining: server.remaining(key).map { .milliseconds($0) })
  }

  // MARK: Grants

  /// Takes out the grants of the last command.
  mutating func takeGrants() -> [Grant] {
    defer { server.messages = [] }
    // A number of 0 tells of a key that is reserved for a claim until it has all of its keys.
    return server.messages.filter { $0.first > 0 }.map { message in
      Grant(
        client: SimulatedServer.locker(of: message.token),
        claim: Claim(
          keys: message.keys.map { keyNames[$0] }, token: name(of: message.token), ttl: .seconds(1)),
        numbers: message.first..<message.first + UInt64(message.numbers))
    }
  }
}
