import AsyncRedisLock
import FaultProxy
import Foundation
import Testing

/// Produces every kind of failure with a password, and looks for the password in all texts about it.
@Suite("A password known to the server", .timeLimit(.minutes(2)))
struct SecretFaultTests {
  /// A password of words that no random key contains.
  private static let password = "zq7-secret/kX9-word vj3%é"

  /// The password as it is, and in each encoding that it may have on its way.
  private static var forms: [String] {
    let bytes = Data(password.utf8)
    let isPlain = CharacterSet.alphanumerics.subtracting(CharacterSet(charactersIn: "é"))
    return [
      password, "zq7-secret", "kX9-word", bytes.base64EncodedString(),
      password.addingPercentEncoding(withAllowedCharacters: isPlain) ?? password,
      bytes.map { String(format: "%02x", $0) }.joined(),
    ]
  }

  private func expectNoTrace<Value>(
    in value: Value, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var renderings = [
      "\(value)", String(reflecting: value), "\(Mirror(reflecting: value).children.map { $0 })",
    ]
    var dumped = ""
    dump(value, to: &dumped)
    renderings.append(dumped)
    for form in Self.forms {
      #expect(
        !renderings.contains { $0.localizedCaseInsensitiveContains(form) }, "\(form)",
        sourceLocation: sourceLocation)
    }
  }

  private func connect(
    to url: String, _ change: (inout LockerConfiguration) -> Void = { _ in }
  ) async throws -> Locker {
    try await Locker(url: url) {
      $0.username = "billing"
      $0.password = Password(Self.password)
      $0.connectTimeout = .milliseconds(100)
      $0.operationTimeout = .milliseconds(100)
      change(&$0)
    }
  }

  /// The ways in which a server can fail.
  enum Failure: String, CaseIterable, Sendable {
    case none, refuses, isBusy, hangsUp, isSilent, talksNonsense

    var answer: FakeAnswer? {
      switch self {
      case .none: nil
      case .refuses: "-ERR no\r\n"
      case .isBusy: "-BUSY Redis is busy running a script\r\n"
      case .hangsUp: FakeAnswer(.hangUp)
      case .isSilent: .silence
      case .talksNonsense: "+QUEUED\r\n"
      }
    }
  }

  @Test(
    "A password known to the server is in no error of a call, and in no rendering of a handle",
    arguments: Failure.allCases)
  func calls(_ failure: Failure) async throws {
    let isFailing = Shared(false)
    let server = try FakeServer { command, _, _ in
      isFailing.value ? failure.answer : nil
    }
    defer { server.stop() }
    let options = LockOptions(timeout: .milliseconds(100))
    let locker = try await connect(to: server.url)
    let lock = try await locker.acquire(uniqueKey(), options: options)
    expectNoTrace(in: locker)
    expectNoTrace(in: lock)
    isFailing.value = true
    let calls: [@Sendable () async throws -> Void] = [
      { _ = try await locker.acquire(uniqueKey(), options: options) },
      { _ = try await locker.acquire([uniqueKey(), uniqueKey()], options: options) },
      { _ = try await locker.acquireIfAvailable(uniqueKey()) },
      { _ = try await locker.inspect(uniqueKey()) },
      { try await locker.forceRelease(uniqueKey()) },
      { try await lock.extend(by: .seconds(60)) },
      { try await lock.release() },
      { _ = try await connect(to: server.url) },
      {
        await locker.close()
        _ = try await locker.acquire(uniqueKey())
      },
    ]
    for call in calls {
      do {
        try await call()
      } catch {
        expectNoTrace(in: error)
      }
    }
    let received = server.commands.flatMap { $0 }.filter { $0.name == "AUTH" }
    #expect(received.first?.words == ["AUTH", "billing", Self.password])
  }

  @Test("A password known to the server is in no error of a failed connection")
  func connecting() async throws {
    for url in ["redis://127.0.0.1:1", "redis://nosuch.invalid", "unix:///nosuch/socket"] {
      let attempt = await Attempt { try await connect(to: url) }
      expectNoTrace(in: try #require(attempt.error))
    }
  }
}
