extension LockerConfiguration {
  /// Checks every property against its rule.
  ///
  /// Host, path and user are never quoted: they may hold a whole URL, pasted there with its password.
  ///
  /// - Parameter code: The kind of input that the configuration comes from.
  /// - Throws: ``LockError`` with that code, naming the value and the rule.
  package func validate(code: LockError.Code = .invalidOptions) throws(LockError) {
    try address.validate(code)
    try validateCredentials(code)
    try tls?.validate(for: address, code)
    try Self.check(database: database, as: "database", code)
    try Self.check(clientName: clientName, as: "clientName", code)
    try connectTimeout.validate(as: "connectTimeout", atLeast: Self.minimumTimeout, code: code)
    try operationTimeout.validate(as: "operationTimeout", atLeast: Self.minimumTimeout, code: code)
    try Self.check(keyPrefix: keyPrefix, as: "keyPrefix", code)
    if let label { try Self.check(label: label, as: "label", code) }
    try Self.check(
      replicaAcknowledgements: replicaAcknowledgements, as: "replicaAcknowledgements", code)
    try validateForCluster(code)
    if let maxWaiters { try Self.check(maxWaiters: maxWaiters, as: "maxWaiters", code) }
    try Self.check(localHandoffLimit: localHandoffLimit, as: "localHandoffLimit", code)
    try lockOptions.validate()
  }

  static let minimumTimeout = Duration.milliseconds(1)

  private func validateCredentials(_ code: LockError.Code) throws(LockError) {
    guard credentials == nil || username == nil && password == nil else {
      throw LockError(
        code,
        "credentials exclude username and password: set either credentials, or the other two, also "
          + "by a URL")
    }
    try validateSentinelCredentials(code)
    try Self.check(username: username, password: password, code)
  }

  static func check(
    database: Int, as part: String, _ code: LockError.Code
  ) throws(LockError) {
    // Not quoted: in a URL without a host, this is the second half of a password like 1/23.
    guard (0...Int(Int32.max)).contains(database) else {
      throw LockError(code, "\(part) must be from 0 to \(Int32.max)")
    }
  }

  /// `CLIENT SETNAME` refuses all other characters, including non-ASCII ones, and treats an empty name as none.
  static func check(
    clientName: String, as part: String, _ code: LockError.Code
  ) throws(LockError) {
    guard clientName.utf8.allSatisfy((UInt8(ascii: "!")...UInt8(ascii: "~")).contains) else {
      throw LockError(
        code,
        "\(part) (\(clientName.abbreviatedForMessage)) must be ASCII without spaces and control "
          + "characters")
    }
  }

  static func check(
    keyPrefix: String, as part: String, _ code: LockError.Code
  ) throws(LockError) {
    guard (1...128).contains(keyPrefix.utf8.count) else {
      throw LockError(
        code, "\(part) must be from 1 to 128 bytes long, not \(keyPrefix.utf8.count)")
    }
    try check(keyPrefix, hasNoNULAs: part, code)
    // In a cluster it would move the helpers out of their keys' slots, and a single server may become a cluster.
    guard !keyPrefix.utf8.contains(where: "{}".utf8.contains) else {
      throw LockError(code, "\(part) must not have a brace in it")
    }
  }

  /// No primary has so many replicas of its own; a larger number is a mistake.
  static func check(
    replicaAcknowledgements: Int, as part: String, _ code: LockError.Code
  ) throws(LockError) {
    guard (0...100).contains(replicaAcknowledgements) else {
      throw LockError(code, "\(part) (\(replicaAcknowledgements)) must be from 0 to 100")
    }
  }

  static func check(
    maxWaiters: Int, as part: String, _ code: LockError.Code
  ) throws(LockError) {
    guard (1...Int(Int32.max)).contains(maxWaiters) else {
      throw LockError(
        code,
        "\(part) (\(maxWaiters)) must be from 1 to \(Int32.max), or left out for any number")
    }
  }

  /// A thousand in a row is more than enough to save trips, and other clients have to wait for them.
  static func check(
    localHandoffLimit: Int, as part: String, _ code: LockError.Code
  ) throws(LockError) {
    guard (0...1000).contains(localHandoffLimit) else {
      throw LockError(code, "\(part) (\(localHandoffLimit)) must be from 0 to 1000")
    }
  }

  static func check(
    label: String, as part: String, _ code: LockError.Code
  ) throws(LockError) {
    guard label.utf8.count <= 64 else {
      throw LockError(
        code, "\(part) (\(label.abbreviatedForMessage)) must be at most 64 bytes long")
    }
    guard !label.hasControlCharacters else {
      throw LockError(
        code, "\(part) (\(label.abbreviatedForMessage)) has a control character in it")
    }
  }

  static func check(
    _ text: String, hasNoNULAs part: String, _ code: LockError.Code
  ) throws(LockError) {
    guard !text.utf8.contains(0) else {
      throw LockError(code, "\(part) has a NUL character in it")
    }
  }
}

extension LockerConfiguration.Address {
  func validate(_ code: LockError.Code) throws(LockError) {
    switch kind {
    case .tcp(let host, let port):
      guard !host.isEmpty else { throw LockError(code, "host is missing") }
      guard Self.isHost(host) else {
        throw LockError(
          code,
          "host must be a name in ASCII, an IPv4 address or an IPv6 address, "
            + "without its port")
      }
      guard port > 0 else { throw LockError(code, "port must be from 1 to 65535") }
    case .sentinels(let sentinels, let primary):
      try Self.validate(sentinels, primary: primary, code)
    case .cluster(let nodes):
      try Self.validate(nodes, code)
    case .unixSocket(let path):
      guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count > 1 else {
        throw LockError(code, "path of the socket must be absolute, as in unix:///path")
      }
      // The smaller of the two systems' limits, so that a configuration is valid on both or on neither.
      guard path.utf8.count <= 103 else {
        throw LockError(
          code,
          "path of the socket must be at most 103 bytes long, not "
            + "\(path.utf8.count): a socket's address has room for 103 on macOS, 107 on Linux")
      }
      try LockerConfiguration.check(path, hasNoNULAs: "path of the socket", code)
    }
  }

  /// Whether the host consists of characters of a name or an address; the resolver checks the rest.
  static func isHost(_ host: String) -> Bool {
    guard host.utf8.contains(UInt8(ascii: ":")) else { return host.utf8.allSatisfy(isNameByte) }
    let parts = host.utf8.split(
      separator: UInt8(ascii: "%"), maxSplits: 1, omittingEmptySubsequences: false)
    let isAddress =
      parts[0].count { $0 == UInt8(ascii: ":") } >= 2
      && parts[0].allSatisfy { $0.hexDigitValue != nil || ":.".utf8.contains($0) }
    return isAddress
      && parts.dropFirst().allSatisfy { !$0.isEmpty && $0.allSatisfy(isNameByte) }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    byte.isASCIILetterOrDigit || "-._".utf8.contains(byte)
  }
}

extension String {
  /// Whether the text contains a character of Unicode's category Cc, such as NUL.
  var hasControlCharacters: Bool {
    unicodeScalars.contains { $0.properties.generalCategory == .control }
  }
}
