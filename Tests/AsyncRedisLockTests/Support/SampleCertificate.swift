import Foundation
import PrivateRedis

/// A self-signed certificate without an owner.
final class SampleCertificate: Sendable {
  private let directory: URL

  /// Whether there is a program that makes one.
  static var isAvailable: Bool { (try? runSystemCommand("openssl", "version")) == 0 }

  /// Makes it.
  ///
  /// - Throws: `CocoaError`.
  init() throws {
    let name = "certificate-" + String(UInt64.random(in: .min ... .max), radix: 36)
    directory = FileManager.default.temporaryDirectory.appending(path: name)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    let status = try runSystemCommand(
      "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
      "-keyout", keyPath, "-out", path)
    guard status == 0 else { throw CocoaError(.featureUnsupported) }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// The file with the certificate.
  var path: String { directory.appending(path: "certificate.pem").path }

  /// The file with its key.
  var keyPath: String { directory.appending(path: "key.pem").path }
}
