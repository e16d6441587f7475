extension LockerConfiguration {
  /// How connections are encrypted, and which certificates count.
  ///
  /// Needs the package trait `TLS`. TLS 1.2 and 1.3 are spoken. The server's certificate is always verified: its chain
  /// up to an authority, its dates, and its subject alternative names against the host of the address. The common name
  /// of its subject does not count (RFC 9110, section 4.3.4). Nothing turns this off; for a certificate of your own,
  /// name its authority, or the certificate itself, in ``authoritiesPath``.
  ///
  /// Files are read anew for the next connection when they have changed. They have to be regular files, or links to
  /// such: a pipe could make the connection wait.
  public struct TLS: Sendable, Hashable {
    /// A PEM file with the certificates of the authorities to trust, or `nil` for those of the system; `nil` by default.
    public var authoritiesPath: String?
    /// A PEM file with the certificate that this client proves its identity with, followed by the certificates of its
    /// chain; `nil` for none, by default.
    ///
    /// Needs a ``privateKeyPath``.
    public var certificatePath: String?
    /// A PEM file, without a passphrase, with the private key of the client's certificate; `nil` by default.
    public var privateKeyPath: String?
    /// The name to ask for and to find in the server's certificate, or `nil` for the host of the address; `nil` by
    /// default.
    ///
    /// For a server that is reached by another name than its certificate has, such as through a tunnel.
    public var serverName: String?

    /// Creates a configuration; each argument defaults to the default of the property with its name.
    public init(
      authoritiesPath: String? = nil, certificatePath: String? = nil, privateKeyPath: String? = nil,
      serverName: String? = nil
    ) {
      self.authoritiesPath = authoritiesPath
      self.certificatePath = certificatePath
      self.privateKeyPath = privateKeyPath
      self.serverName = serverName
    }
  }

  /// Whether TLS is built in.
  static var hasTLS: Bool {
    #if TLS
      true
    #else
      false
    #endif
  }
}

extension LockerConfiguration.TLS {
  /// Checks every property against its rule; no path is quoted.
  func validate(for address: LockerConfiguration.Address, _ code: LockError.Code) throws(LockError)
  {
    guard LockerConfiguration.hasTLS else {
      throw LockError(
        .tlsUnavailable, "TLS is not built in; the package trait TLS adds it, and needs OpenSSL")
    }
    if case .unixSocket = address.kind {
      throw LockError(code, "tls must be left out for a Unix-domain socket, which needs none")
    }
    let paths = [
      ("authoritiesPath", authoritiesPath), ("certificatePath", certificatePath),
      ("privateKeyPath", privateKeyPath),
    ]
    for (part, path) in paths {
      guard let path else { continue }
      guard !path.isEmpty else {
        throw LockError(code, "\(part) must not be empty; leave it out")
      }
      try LockerConfiguration.check(path, hasNoNULAs: part, code)
    }
    guard (certificatePath == nil) == (privateKeyPath == nil) else {
      throw LockError(
        code,
        "a certificate needs its private key, and a private key its certificate: "
          + "certificatePath and privateKeyPath are set together")
    }
    guard serverName.map(Self.isServerName) ?? true else {
      throw LockError(code, "serverName must be a name in ASCII of at most 253 bytes")
    }
  }

  private static func isServerName(_ name: String) -> Bool {
    (1...253).contains(name.utf8.count)
      && name.utf8.allSatisfy { $0.isASCIILetterOrDigit || "-._:".utf8.contains($0) }
  }
}
