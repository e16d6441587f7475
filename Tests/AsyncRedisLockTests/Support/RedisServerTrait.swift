import Foundation
import PrivateRedis
import Testing

/// Starts one server for the suite or test that has the trait, and stops it at the end.
///
/// All tests of the suite share the server, including those of inner suites; they find it as
/// ``PrivateRedis/RedisServer/current``.
struct RedisServerTrait: SuiteTrait, TestTrait, TestScoping {
  let arguments: [String]
  let listener: RedisServer.Listener

  /// Requests a scope around the suite or the test as a whole, not around the cases of a test.
  ///
  /// The trait is not recursive, so this is not called for the tests of its suite.
  func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? {
    testCase == nil ? self : nil
  }

  func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    let server = try await start()
    defer { server.stop() }
    try await RedisServer.$ofScope.withValue(server) {
      try await function()
    }
  }

  /// Starts on a thread of its own: the pool has only as many threads as the machine has cores.
  private func start() async throws -> RedisServer {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            guard LeastPrivilege.isWanted else {
              return try RedisServer(arguments: arguments, listen: listener)
            }
            return try RedisServer(
              arguments: arguments + LeastPrivilege.arguments(), listen: listener,
              login: LeastPrivilege.login)
          })
      }
    }
  }
}

extension Trait where Self == RedisServerTrait {
  /// A server that the suite's tests share, or that a single test has to itself.
  static func redisServer(
    _ arguments: String..., listen listener: RedisServer.Listener = .unixSocket
  ) -> Self {
    Self(arguments: arguments, listener: listener)
  }
}

extension RedisServer {
  @TaskLocal fileprivate static var ofScope: RedisServer?

  /// The server of the innermost suite or test with the trait `redisServer`.
  static var current: RedisServer {
    guard let ofScope else { preconditionFailure("The suite lacks the trait .redisServer()") }
    return ofScope
  }
}

/// Makes up a key, or any other name, that no other test uses.
///
/// - Parameter name: The beginning of the key; by default the name of the test.
/// - Returns: The key.
func uniqueKey(_ name: String = #function) -> String {
  let readable = name.prefix { $0 != "(" }.map { $0.isLetter || $0.isNumber ? $0 : "-" }
  return String(readable) + "-" + String(UInt64.random(in: .min ... .max), radix: 36)
}
