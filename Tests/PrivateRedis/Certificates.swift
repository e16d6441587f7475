import Foundation

/// Makes certificates in a temporary folder, with the program `openssl`.
package final class Certificates: Sendable {
  /// A certificate and its private key, as paths of PEM files.
  package struct Identity: Sendable {
    package let certificate: String
    package let key: String
  }

  /// When a certificate is valid.
  package enum Validity {
    case now, past, future
    /// For this many days more.
    case days(Int)

    fileprivate var arguments: [String] {
      let (start, end) =
        switch self {
        case .now: (-1, 30)
        case .days(let count): (-1, count)
        case .past: (-30, -1)
        case .future: (30, 60)
        }
      return ["-startdate", Self.text(start), "-enddate", Self.text(end)]
    }

    private static func text(_ days: Int) -> String {
      let time = Date.now.addingTimeInterval(Double(days) * 86_400)
      let digits = time.formatted(.iso8601.dateSeparator(.omitted).timeSeparator(.omitted))
      return digits.filter { $0 != "T" }
    }
  }

  package let directory: String
  package let authority: Identity

  /// Makes the folder, and an authority.
  ///
  /// - Throws: ``RedisError/start(_:)`` or a Foundation error.
  package init() throws {
    let name = "certificates-" + String(UInt64.random(in: .min ... .max), radix: 36)
    let folder = FileManager.default.temporaryDirectory.appending(path: name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    directory = folder.path(percentEncoded: false)
    authority = try Self.makeAuthority("authority", in: directory)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  /// Makes another authority.
  package func makeAuthority(_ name: String) throws -> Identity {
    try Self.makeAuthority(name, in: directory)
  }

  private static func makeAuthority(_ name: String, in directory: String) throws -> Identity {
    let identity = Identity(
      certificate: "\(directory)/\(name).pem", key: "\(directory)/\(name).key")
    try openssl(
      ["req", "-x509"] + newKey + [
        "-nodes", "-days", "30", "-subj", "/CN=\(name)", "-keyout", identity.key, "-out",
        identity.certificate,
      ])
    return identity
  }

  /// Makes a certificate with these alternative names, such as `DNS:localhost` and `IP:127.0.0.1`.
  ///
  /// An authority may sign others in its turn.
  package func make(
    _ name: String, names: [String], validity: Validity = .now, signedBy issuer: Identity? = nil,
    passphrase: String? = nil, isRSA: Bool = false, isAuthority: Bool = false
  ) throws -> Identity {
    let issuer = issuer ?? authority
    let base = "\(directory)/\(name)"
    let identity = Identity(certificate: base + ".pem", key: base + ".key")
    let protection = passphrase.map { ["-passout", "pass:\($0)"] } ?? ["-nodes"]
    try Self.openssl(
      ["req"] + (isRSA ? ["-newkey", "rsa:2048"] : Self.newKey) + protection + [
        "-subj", "/CN=\(isAuthority ? name : "localhost")", "-keyout", identity.key, "-out",
        base + ".request",
      ])
    let extensions = names.isEmpty ? "" : "subjectAltName = \(names.joined(separator: ","))\n"
    let settings = """
      [ca]
      default_ca = own
      [own]
      database = \(base).index
      new_certs_dir = \(directory)
      rand_serial = yes
      default_md = sha256
      policy = any
      unique_subject = no
      x509_extensions = extensions
      [any]
      commonName = supplied
      [extensions]
      basicConstraints = CA:\(isAuthority ? "TRUE" : "FALSE")
      \(extensions)
      """
    try settings.write(toFile: base + ".conf", atomically: false, encoding: .utf8)
    try "".write(toFile: base + ".index", atomically: false, encoding: .utf8)
    try Self.openssl(
      [
        "ca", "-batch", "-notext", "-config", base + ".conf", "-cert", issuer.certificate,
        "-keyfile", issuer.key, "-in", base + ".request", "-out", identity.certificate,
      ] + validity.arguments)
    return identity
  }

  /// Quick to make, unlike RSA keys.
  private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]

  private static func openssl(_ arguments: [String]) throws {
    let process = Process()
    let errors = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    try process.run()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw RedisError.start("openssl: \(text)") }
  }
}
