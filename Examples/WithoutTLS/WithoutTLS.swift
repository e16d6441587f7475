import AsyncRedisLock
import Foundation

/// Shows what a program says that was built without the trait `TLS`, and so without OpenSSL.
///
/// It refuses a configuration with TLS before it connects. So no password is ever sent in the clear because a trait is
/// missing.
@main
enum WithoutTLS {
  private static let url =
    ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379"
  private static let password = "hunter2"

  static func main() async throws {
    print("A program without the package trait TLS is given URLs with TLS, and a plain one.")
    let addresses = [
      "rediss://:\(password)@127.0.0.1:1", "REDISS://:\(password)@127.0.0.1:1/0",
      "valkeys://:\(password)@127.0.0.1:1", "rediss+sentinel://:\(password)@127.0.0.1:1/main",
      "valkeys+sentinel://:\(password)@127.0.0.1:1/main",
      "rediss+cluster://:\(password)@127.0.0.1:1", "valkeys+cluster://:\(password)@127.0.0.1:1",
      "rediss://:\(password)@127.0.0.1:1?cacert=/no/such/file",
    ]
    for address in addresses {
      await expectRefusal { _ = try LockerConfiguration(url: address) }
      await expectRefusal { _ = try await Locker(url: address) }
    }
    let configuration = LockerConfiguration(
      address: .tcp(host: "127.0.0.1", port: 1), password: Password(password), tls: .init())
    await expectRefusal { _ = try await Locker(configuration: configuration) }
    await expectRefusal { _ = try Locker(connectingLazilyTo: configuration) }
    print("Each URL with TLS was refused, and the error names the trait, but not the password.")

    try await Locker(url: url).withLock("plain") { lock in
      precondition(lock.isHeld)
      print("With the plain URL, there is a lock.")
    }
  }

  private static func expectRefusal(_ connect: @Sendable () async throws -> Void) async {
    do {
      try await connect()
      preconditionFailure("TLS is not refused")
    } catch {
      precondition((error as? LockError)?.code == .tlsUnavailable, "\(error)")
      precondition("\(error)".contains("the package trait TLS"), "\(error)")
      precondition(!"\(error) \(String(reflecting: error))".contains(password), "\(error)")
    }
  }
}
