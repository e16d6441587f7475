extension LockerConfiguration {
  /// Creates a configuration from the URL of a server.
  ///
  /// - `redis://[[user]:password@]host[:port][/database][?query]`, also as `valkey://`; an IPv6 address is put in
  ///   brackets. With TLS: `rediss://` or `valkeys://`.
  /// - `redis+sentinel://[[user]:password@]host[:port],…/primary[/database][?query]` for sentinels and the name of
  ///   their primary; the user and the password are those of the primary. Also as `valkey+sentinel://`, and with TLS
  ///   as `rediss+sentinel://` or `valkeys+sentinel://`.
  /// - `redis+cluster://[[user]:password@]host[:port],…[/database][?query]` for nodes of a cluster, also as
  ///   `valkey+cluster://`, and with TLS as `rediss+cluster://` or `valkeys+cluster://`. A locker with one of the first
  ///   URLs also works with a cluster, if its server is there at the beginning.
  /// - `unix://[[user]:password@]/path/of/socket[?query]`, also as `redis+unix://`.
  ///
  /// User, password, path and the values of the query are percent-decoded once. A password needs
  /// escapes for `/` (`%2F`), `?` (`%3F`), `#` (`%23`), `%` (`%25`), white space, and for a `:` or
  /// `@` in the user before it.
  ///
  /// The query takes these parameters, each at most once:
  ///
  /// - `db`: ``database``
  /// - `client_name`: ``clientName``
  /// - `connect_timeout`, `socket_connect_timeout` or `dial_timeout`: ``connectTimeout``
  /// - `operation_timeout`, `timeout`, `socket_timeout` or `read_timeout`: ``operationTimeout``
  /// - `label`: ``label``
  /// - `key_prefix`: ``keyPrefix``
  /// - `fencing`: ``isFencingEnabled``, as `true` or `false`
  /// - `replica_acknowledgements`: ``replicaAcknowledgements``
  /// - `max_waiters`: ``maxWaiters``
  /// - `local_handoff_limit`: ``localHandoffLimit``
  /// - `cacert` or `ssl_ca_certs`: ``TLS/authoritiesPath``
  /// - `cert` or `ssl_certfile`: ``TLS/certificatePath``
  /// - `key` or `ssl_keyfile`: ``TLS/privateKeyPath``
  /// - `sni`: ``TLS/serverName``
  /// - `sentinel_username`: ``sentinelUsername``
  /// - `sentinel_password`: ``sentinelPassword``
  ///
  /// Those from `cacert` to `sni` need one of the schemes with TLS, the last two one of those with `+sentinel`.
  ///
  /// A timeout is written as `500ms`, `1.5s`, `5m` or `2h`; a plain number counts seconds.
  ///
  /// - Parameter url: The URL, of at most 8 KiB.
  /// - Throws: ``LockError/Code/invalidURL``, naming the part and the rule but never the password,
  ///   or ``LockError/Code/tlsUnavailable`` for `rediss://` and `valkeys://` without the package trait `TLS`.
  public init(url: String) throws(LockError) {
    let url = try RedisURL(url)
    self.init()
    address = try url.address
    (username, password) = try url.credentials
    if url.isEncrypted { tls = TLS() }
    let pathDatabase = try url.pathDatabase
    if let pathDatabase { database = pathDatabase }
    // Before the query: messages may quote it, and if the authority is malformed, the text behind it may be the
    // rest of a password.
    try validate(code: .invalidURL)
    try apply(query: url.query, isDatabaseSet: pathDatabase != nil)
    try tls?.validate(for: address, .invalidURL)
    try validateSentinelCredentials(.invalidURL)
    try validateForCluster(.invalidURL)
  }
}

/// A server URL split into parts, which are decoded and checked on access.
///
/// No message quotes the authority or the path. If an `@` or the host is missing, or a `/` or `?` is not escaped,
/// they contain a password.
struct RedisURL {
  /// What the authority and the path name.
  enum Kind {
    case server
    case socket
    case sentinels
    case cluster
  }

  private let kind: Kind
  /// Whether the scheme asks for TLS.
  let isEncrypted: Bool
  private let userInfo: ArraySlice<UInt8>?
  let hostAndPort: ArraySlice<UInt8>
  let path: ArraySlice<UInt8>
  /// The text behind the first `?`, if there is one.
  let query: ArraySlice<UInt8>

  private static let longest = 8 << 10

  /// Splits a URL.
  init(_ url: String) throws(LockError) {
    guard url.utf8.count <= Self.longest else {
      throw LockError(
        .invalidURL, "URL must be at most \(Self.longest) bytes long, not \(url.utf8.count)")
    }
    let bytes = Array(url.utf8)[...]
    let authorityStart: Int
    (kind, isEncrypted, authorityStart) = try Self.scheme(of: bytes)
    guard url.last?.isNewline != true else {
      throw LockError(.invalidURL, "URL ends with white space, such as a line end")
    }
    guard !url.hasControlCharacters, !url.unicodeScalars.contains(where: \.properties.isWhitespace)
    else {
      throw LockError(
        .invalidURL, "URL has white space or a control character in it; a space is written %20")
    }
    guard !bytes.contains(UInt8(ascii: "#")) else {
      throw LockError(
        .invalidURL,
        "URL has a fragment (#), which has no meaning here; a # in a password is "
          + "written %23")
    }

    let pathStart =
      bytes[authorityStart...].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
      ?? bytes.endIndex
    let authority = bytes[authorityStart..<pathStart]
    // Without an authority there is no password, and socket paths may well contain an @.
    guard kind == .socket && authority.isEmpty || !bytes[pathStart...].contains(UInt8(ascii: "@"))
    else {
      throw LockError(
        .invalidURL,
        "URL has an @ after a / or ?; in a password a / is written %2F and a ? %3F, "
          + "and an @ after the host is written %40")
    }
    // The last @: many passwords contain an unescaped one, and hosts never do.
    let at = authority.lastIndex(of: UInt8(ascii: "@"))
    userInfo = at.map { authority[..<$0] }
    hostAndPort = at.map { authority[($0 + 1)...] } ?? authority
    let queryMark = bytes[pathStart...].firstIndex(of: UInt8(ascii: "?"))
    path = bytes[pathStart..<(queryMark ?? bytes.endIndex)]
    query = queryMark.map { bytes[($0 + 1)...] } ?? []
  }

  /// What the scheme stands for, and where the authority begins.
  private static func scheme(
    of bytes: ArraySlice<UInt8>
  ) throws(LockError) -> (kind: Kind, isEncrypted: Bool, authorityStart: Int) {
    // Up to the first colon, so that a possible password is never taken for a scheme.
    let name = bytes.prefix { $0 != UInt8(ascii: ":") }
    guard bytes[name.endIndex...].starts(with: "://".utf8), name.allSatisfy(isSchemeByte) else {
      throw LockError(
        .invalidURL,
        "scheme is missing: "
          + (ForeignURL.advice(for: bytes) ?? "URL has to begin with redis:// or unix://"))
    }
    let scheme = String(decoding: name, as: UTF8.self).lowercased()
    let authorityStart = name.endIndex + 3
    switch scheme {
    case "redis", "valkey":
      return (.server, false, authorityStart)
    case "unix", "redis+unix":
      return (.socket, false, authorityStart)
    case "redis+sentinel", "valkey+sentinel":
      return (.sentinels, false, authorityStart)
    case "redis+cluster", "valkey+cluster":
      return (.cluster, false, authorityStart)
    case "rediss", "valkeys", "rediss+sentinel", "valkeys+sentinel", "rediss+cluster",
      "valkeys+cluster":
      guard LockerConfiguration.hasTLS else {
        throw LockError(
          .tlsUnavailable,
          "TLS is not built in, so scheme \(scheme) cannot be used; the package trait TLS adds it")
      }
      let kind: Kind =
        scheme.hasSuffix("+sentinel")
        ? .sentinels : scheme.hasSuffix("+cluster") ? .cluster : .server
      return (kind, true, authorityStart)
    default:
      throw LockError(
        .invalidURL,
        "scheme (\(scheme.abbreviatedForMessage)) must be redis, valkey, unix or "
          + "redis+unix, or rediss or valkeys for TLS, or redis+sentinel or rediss+sentinel for "
          + "sentinels, or redis+cluster or rediss+cluster for a cluster"
          + (ForeignURL.advice(forScheme: scheme).map { "; \($0)" } ?? ""))
    }
  }

  private static func isSchemeByte(_ byte: UInt8) -> Bool {
    byte.isASCIILetterOrDigit || "+-.".utf8.contains(byte)
  }

  /// The user and the password.
  var credentials: (username: String?, password: Password?) {
    get throws(LockError) {
      guard let userInfo else { return (nil, nil) }
      let username = userInfo.prefix { $0 != UInt8(ascii: ":") }
      guard username.endIndex < userInfo.endIndex else {
        // One of the rules of `validate()` makes this an error.
        return (try username.percentDecoded(as: "user"), nil)
      }
      let password = userInfo[(username.endIndex + 1)...]
      return (
        username.isEmpty ? nil : try username.percentDecoded(as: "user"),
        Password(try password.percentDecoded(as: "password"))
      )
    }
  }

  /// Where the server listens.
  var address: LockerConfiguration.Address {
    get throws(LockError) {
      switch kind {
      case .server: return try tcpAddress
      case .sentinels: return try sentinelAddress
      case .cluster: return try clusterAddress
      case .socket: break
      }
      guard hostAndPort.isEmpty else {
        throw LockError(
          .invalidURL,
          "a socket's URL has no host: its path is absolute, as in "
            + "unix:///path or unix://:password@/path")
      }
      return .unixSocket(path: try path.percentDecoded(as: "path"))
    }
  }

  private var tcpAddress: LockerConfiguration.Address {
    get throws(LockError) {
      guard !hostAndPort.contains(UInt8(ascii: ",")) else {
        throw LockError(
          .invalidURL,
          "host must be one server; a list is for sentinels, as in redis+sentinel://host,host/primary, "
            + "or for a cluster, as in redis+cluster://host,host"
        )
      }
      let (host, port) = try Self.hostAndPort(hostAndPort)
      return port.map { .tcp(host: host, port: $0) } ?? .tcp(host: host)
    }
  }

  /// Splits the notation of a TCP address.
  static func hostAndPort(
    _ hostAndPort: ArraySlice<UInt8>
  ) throws(LockError) -> (host: String, port: UInt16?) {
    let host: String
    let portPart: ArraySlice<UInt8>
    if hostAndPort.first == UInt8(ascii: "[") {
      guard let end = hostAndPort.firstIndex(of: UInt8(ascii: "]")) else {
        throw LockError(.invalidURL, "host begins with [ and has to end with ]")
      }
      host = try Self.ipv6(hostAndPort[(hostAndPort.startIndex + 1)..<end])
      portPart = hostAndPort[(end + 1)...]
    } else {
      let name = hostAndPort.prefix { $0 != UInt8(ascii: ":") }
      host = String(decoding: name, as: UTF8.self)
      portPart = hostAndPort[name.endIndex...]
    }
    guard let colon = portPart.first else { return (host, nil) }
    guard
      colon == UInt8(ascii: ":"),
      let port = UInt16(exactly: Int(digits: portPart.dropFirst()) ?? -1)
    else {
      throw LockError(
        .invalidURL,
        "port must be a number from 1 to 65535; a password is followed by @ and "
          + "the host, and an IPv6 address is put in brackets")
    }
    return (host, port)
  }

  /// The address within brackets, with its zone if it has one, in the form that the resolver takes.
  private static func ipv6(_ literal: ArraySlice<UInt8>) throws(LockError) -> String {
    guard literal.contains(UInt8(ascii: ":")) else {
      throw LockError(.invalidURL, "host must be an IPv6 address if it is put in brackets")
    }
    // RFC 6874 wants the zone's % escaped; most users write it as it is.
    let address = literal.prefix { $0 != UInt8(ascii: "%") }
    let zone = literal[address.endIndex...]
    let isEscaped = zone.starts(with: "%25".utf8)
    return String(decoding: address, as: UTF8.self) + (isEscaped ? "%" : "")
      + String(decoding: zone.dropFirst(isEscaped ? 3 : 0), as: UTF8.self)
  }

  /// The database that the path names, if it names one.
  var pathDatabase: Int? {
    get throws(LockError) {
      // The path of a TCP URL is empty or begins with the / that ended the authority.
      guard kind != .socket, path.count > 1 else { return nil }
      let text = kind == .sentinels ? databaseBehindPrimary : path.dropFirst()
      guard let text else { return nil }
      let number = try text.percentDecoded(as: "database")
      guard let database = Int(digits: number.utf8) else {
        throw LockError(.invalidURL, "database in the path must be a number in decimal digits")
      }
      return database
    }
  }
}
