extension LockerConfiguration {
  /// Checks the user and the password for sentinels against their rules.
  func validateSentinelCredentials(_ code: LockError.Code) throws(LockError) {
    guard sentinelUsername != nil || sentinelPassword != nil else { return }
    guard case .sentinels = address.kind else {
      throw LockError(
        code,
        "sentinel user and sentinel password must be left out for an address without sentinels")
    }
    if let sentinelUsername {
      guard !sentinelUsername.isEmpty else {
        throw LockError(code, "sentinel user must not be empty; leave it out")
      }
      try Self.check(sentinelUsername, hasNoNULAs: "sentinel user", code)
    }
    guard let sentinelPassword else {
      throw LockError(code, "sentinel user needs a sentinel password")
    }
    guard !sentinelPassword.value.isEmpty else {
      throw LockError(code, "sentinel password must not be empty; leave it out")
    }
    try Self.check(sentinelPassword.value, hasNoNULAs: "sentinel password", code)
  }

  /// The same configuration for one server of those that it leads to.
  func leading(to address: Address) -> Self {
    var configuration = self
    configuration.address = address
    configuration.sentinelUsername = nil
    configuration.sentinelPassword = nil
    return configuration
  }

  /// The configuration for connections to a sentinel.
  func leading(toSentinel sentinel: Address.Sentinel) -> Self {
    var configuration = leading(to: sentinel.address)
    configuration.username = sentinelUsername
    configuration.password = sentinelPassword
    configuration.credentials = nil
    configuration.database = 0
    return configuration
  }
}

extension LockerConfiguration.Address {
  private static let mostSentinels = 100
  private static let longestPrimary = 256

  /// Checks the sentinels and the name of their primary; neither is quoted, as with a host.
  static func validate(
    _ sentinels: [Sentinel], primary: String, _ code: LockError.Code
  ) throws(LockError) {
    guard (1...mostSentinels).contains(sentinels.count) else {
      throw LockError(
        code, "sentinels must be from 1 to \(mostSentinels) addresses, not \(sentinels.count)")
    }
    for sentinel in sentinels { try sentinel.address.validate(code) }
    guard Set(sentinels).count == sentinels.count else {
      throw LockError(code, "sentinels must differ: the address of one is there twice")
    }
    guard !primary.isEmpty else {
      throw LockError(
        code,
        "primary is missing: the name from the sentinels' configuration, as in "
          + "redis+sentinel://host:26379/mymaster")
    }
    guard primary.utf8.count <= longestPrimary else {
      throw LockError(
        code,
        "primary must be at most \(longestPrimary) bytes long, not \(primary.utf8.count)")
    }
    // Sentinels separate the words of their messages by spaces.
    guard !primary.hasControlCharacters,
      !primary.unicodeScalars.contains(where: \.properties.isWhitespace)
    else {
      throw LockError(code, "primary must not have white space or a control character in it")
    }
  }
}
