extension LockerConfiguration {
  /// Sets the properties that the query of a URL names, percent-decoded; an empty query changes nothing.
  ///
  /// `isDatabaseSet` tells that the URL's path has named the database already.
  mutating func apply(query: ArraySlice<UInt8>, isDatabaseSet: Bool) throws(LockError) {
    guard !query.isEmpty else { return }
    var seen: Set<QueryParameter> = isDatabaseSet ? [.database] : []
    for pair in query.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
      let nameBytes = pair.prefix { $0 != UInt8(ascii: "=") }
      guard nameBytes.endIndex < pair.endIndex else {
        throw LockError(
          .invalidURL, "query must consist of name=value pairs, separated by single &")
      }
      let name = String(decoding: nameBytes, as: UTF8.self)
      guard let parameter = QueryParameter(name: name) else {
        throw QueryParameter.unknown(name)
      }
      let part = "query parameter \(name)"
      guard seen.insert(parameter).inserted else {
        throw LockError(.invalidURL, "\(part) sets the \(parameter.rawValue) a second time")
      }
      let value = try pair[(nameBytes.endIndex + 1)...].percentDecoded(as: part)
      try set(parameter, to: value, as: part)
    }
  }

  /// Sets one parameter; `part` names it in messages.
  private mutating func set(
    _ parameter: QueryParameter, to value: String, as part: String
  ) throws(LockError) {
    switch parameter {
    case .database:
      database = try Self.number(value, as: part)
      try Self.check(database: database, as: part, .invalidURL)
    case .clientName:
      clientName = value
      try Self.check(clientName: value, as: part, .invalidURL)
    case .connectTimeout:
      connectTimeout = try Self.timeout(value, as: part)
    case .operationTimeout:
      operationTimeout = try Self.timeout(value, as: part)
    case .label:
      label = value
      try Self.check(label: value, as: part, .invalidURL)
    case .keyPrefix:
      keyPrefix = value
      try Self.check(keyPrefix: value, as: part, .invalidURL)
    case .fencing:
      guard value == "true" || value == "false" else {
        throw LockError(
          .invalidURL, "\(part) (\(value.abbreviatedForMessage)) must be true or false")
      }
      isFencingEnabled = value == "true"
    case .replicaAcknowledgements:
      replicaAcknowledgements = try Self.number(value, as: part)
      try Self.check(replicaAcknowledgements: replicaAcknowledgements, as: part, .invalidURL)
    case .maxWaiters:
      let number = try Self.number(value, as: part)
      maxWaiters = number
      try Self.check(maxWaiters: number, as: part, .invalidURL)
    case .localHandoffLimit:
      localHandoffLimit = try Self.number(value, as: part)
      try Self.check(localHandoffLimit: localHandoffLimit, as: part, .invalidURL)
    case .authorities: try set(\.authoritiesPath, to: value, as: part)
    case .certificate: try set(\.certificatePath, to: value, as: part)
    case .privateKey: try set(\.privateKeyPath, to: value, as: part)
    case .serverName: try set(\.serverName, to: value, as: part)
    case .sentinelUsername: sentinelUsername = value
    case .sentinelPassword: sentinelPassword = Password(value)
    }
  }

  private mutating func set(
    _ property: WritableKeyPath<TLS, String?>, to value: String, as part: String
  ) throws(LockError) {
    guard tls != nil else {
      throw LockError(
        .invalidURL, "\(part) needs TLS: the scheme rediss or valkeys in place of redis or valkey")
    }
    tls?[keyPath: property] = value
  }

  private static func number(_ value: String, as part: String) throws(LockError) -> Int {
    guard let number = Int(digits: value.utf8) else {
      throw LockError(
        .invalidURL, "\(part) (\(value.abbreviatedForMessage)) must be in decimal digits")
    }
    return number
  }

  private static func timeout(_ value: String, as part: String) throws(LockError) -> Duration {
    guard let timeout = Duration(text: value) else {
      throw LockError(
        .invalidURL,
        "\(part) (\(value.abbreviatedForMessage)) must be a number of seconds, or "
          + "a number with a unit such as 500ms, 1.5s or 1m, and at most 10 years")
    }
    try timeout.validate(as: part, atLeast: minimumTimeout, code: .invalidURL)
    return timeout
  }
}

/// A parameter of a URL's query, under any of its names.
private enum QueryParameter: String {
  case database
  case clientName = "client name"
  case connectTimeout = "connect timeout"
  case operationTimeout = "operation timeout"
  case label
  case keyPrefix = "key prefix"
  case fencing
  case replicaAcknowledgements = "number of replica acknowledgements"
  case maxWaiters = "limit of waiters"
  case localHandoffLimit = "limit of local handoffs"
  case authorities
  case certificate
  case privateKey = "private key"
  case serverName = "server name"
  case sentinelUsername = "sentinel user"
  case sentinelPassword = "sentinel password"

  init?(name: String) {
    switch name {
    case "db": self = .database
    case "client_name": self = .clientName
    case "connect_timeout", "socket_connect_timeout", "dial_timeout": self = .connectTimeout
    case "operation_timeout", "timeout", "socket_timeout", "read_timeout": self = .operationTimeout
    case "label": self = .label
    case "key_prefix": self = .keyPrefix
    case "fencing": self = .fencing
    case "replica_acknowledgements": self = .replicaAcknowledgements
    case "max_waiters": self = .maxWaiters
    case "local_handoff_limit": self = .localHandoffLimit
    case "cacert", "ssl_ca_certs": self = .authorities
    case "cert", "ssl_certfile": self = .certificate
    case "key", "ssl_keyfile": self = .privateKey
    case "sni": self = .serverName
    case "sentinel_username": self = .sentinelUsername
    case "sentinel_password": self = .sentinelPassword
    default: return nil
    }
  }

  /// The names by which other clients turn verification off.
  private static let verificationSwitches: Set<String> = [
    "insecure", "insecure_skip_verify", "skip_verify", "ssl_cert_reqs", "ssl_check_hostname",
    "tls_insecure", "verify", "verify_mode",
  ]

  /// The error for a name that is not among these parameters.
  ///
  /// The name is quoted only if it looks like a parameter's. In `redis://user:1?Xy4=`, where the host is missing
  /// and the `?` is not escaped, it is a part of the password.
  static func unknown(_ name: String) -> LockError {
    if let advice = ForeignURL.advice(forParameter: name) {
      return LockError(.invalidURL, "query parameter \(name) must be left out: \(advice)")
    }
    if verificationSwitches.contains(name) {
      return LockError(
        .invalidURL,
        "query parameter \(name) must be left out: certificates are always verified; cacert names a "
          + "file with the authority of a private certificate")
    }
    let isShown =
      (1...32).contains(name.utf8.count)
      && name.utf8.allSatisfy {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "_")
      }
    return LockError(
      .invalidURL,
      "query parameter \(isShown ? name : "(name not shown)") is unknown; there are "
        + "db, client_name, connect_timeout, operation_timeout, label, key_prefix, fencing, "
        + "replica_acknowledgements, max_waiters and local_handoff_limit, with TLS cacert, cert, key and sni, "
        + "and with sentinels sentinel_username and sentinel_password")
  }
}
