@testable import AsyncRedisLock

/// URLs: a URL that is read means the same when it is written again, and no error shows a password.
enum URLFuzzer {
  private static let marker = "Zq7Kx9vJ"

  static func run(_ input: inout FuzzInput) {
    read(input.text)
    let kind = input.byte()
    let (before, behind) = (input.shortText(), input.shortText())
    hide(kind, before, behind, input.text)
  }

  /// Reads any text, and reads the result once more.
  private static func read(_ text: String) {
    guard let configuration = try? LockerConfiguration(url: text) else { return }
    do throws(LockError) {
      try configuration.validate()
      let again = try LockerConfiguration(url: url(of: configuration))
      verify(again == configuration, "\(text) is read as \(configuration), then as \(again)")
    } catch {
      verify(false, "\(text) is read as \(configuration), then refused: \(error)")
    }
  }

  /// Reads a URL with a known password, and looks for the password in all results.
  private static func hide(_ kind: UInt8, _ before: String, _ behind: String, _ end: String) {
    guard !end.lowercased().contains("zq7") else { return }
    let scheme = ["redis", "valkey", "unix", "rediss", "http"][Int(kind) % 5]
    let url = "\(scheme)://u:\(before)\(marker)\(behind)@\(end)"
    do throws(LockError) {
      let configuration = try LockerConfiguration(url: url)
      verify(configuration.password?.value.contains(marker) == true, "\(url) loses its password")
      expectHidden(configuration)
    } catch {
      expectHidden(error)
      verify(!error.localizedDescription.contains(marker), "\(url): the password is described")
      verify(error.code == .invalidURL || error.code == .tlsUnavailable, "\(error)")
      verify(error.description.utf8.count < 4096, "\(url): a long message")
      verify(!error.description.hasControlCharacters, "\(url): control characters")
    }
  }

  private static func expectHidden<Value>(_ value: Value) {
    var dumped = ""
    dump(value, to: &dumped)
    for rendering in ["\(value)", String(reflecting: value), dumped] {
      verify(!rendering.lowercased().contains(marker.lowercased()), "shown: \(rendering)")
    }
  }

  /// Writes a configuration as a URL that escapes every byte that may be escaped.
  private static func url(of configuration: LockerConfiguration) -> String {
    func escaped(_ text: String) -> String { PercentFuzzer.escaped(text.utf8) }
    var user = ""
    if let password = configuration.password {
      user = escaped(configuration.username ?? "") + ":" + escaped(password.value) + "@"
    }
    let scheme = configuration.tls == nil ? "redis" : "rediss"
    let place =
      switch configuration.address.kind {
      case .tcp(let host, let port):
        "\(scheme)://\(user)\(host.contains(":") ? "[\(host)]" : host):\(port)"
      case .sentinels(let sentinels, let primary):
        "\(scheme)+sentinel://\(user)\(sentinels.map { "\($0)" }.joined(separator: ","))/"
          + escaped(primary)
      case .cluster(let nodes):
        "\(scheme)+cluster://\(user)\(nodes.map { "\($0)" }.joined(separator: ","))"
      case .unixSocket(let path):
        // The slash that ends the authority cannot be escaped. It is a byte, since an accent may follow it.
        "unix://\(user)/\(PercentFuzzer.escaped(path.utf8.dropFirst()))"
      }
    var query = [
      "db=\(configuration.database)", "client_name=\(escaped(configuration.clientName))",
      "connect_timeout=\(seconds(configuration.connectTimeout))",
      "operation_timeout=\(seconds(configuration.operationTimeout))",
      "key_prefix=\(escaped(configuration.keyPrefix))",
      "fencing=\(configuration.isFencingEnabled)",
      "local_handoff_limit=\(configuration.localHandoffLimit)",
    ]
    for (name, value) in [
      ("sentinel_username", configuration.sentinelUsername),
      ("sentinel_password", configuration.sentinelPassword?.value),
      ("cacert", configuration.tls?.authoritiesPath), ("cert", configuration.tls?.certificatePath),
      ("key", configuration.tls?.privateKeyPath), ("sni", configuration.tls?.serverName),
    ] {
      if let value { query.append("\(name)=\(escaped(value))") }
    }
    if let label = configuration.label { query.append("label=\(escaped(label))") }
    if configuration.replicaAcknowledgements > 0 {
      query.append("replica_acknowledgements=\(configuration.replicaAcknowledgements)")
    }
    if let maxWaiters = configuration.maxWaiters { query.append("max_waiters=\(maxWaiters)") }
    return "\(place)?\(query.joined(separator: "&"))"
  }

  /// The duration in seconds, with nine decimals.
  private static func seconds(_ duration: Duration) -> String {
    let decimals = String(duration.components.attoseconds / 1_000_000_000 + 1_000_000_000)
      .dropFirst()
    return "\(duration.components.seconds).\(decimals)"
  }
}
