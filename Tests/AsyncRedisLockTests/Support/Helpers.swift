import AsyncRedisLock
import PrivateRedis
import Testing

extension Locker {
  /// Makes a locker for a test server, by default the server of the suite.
  convenience init(
    on server: RedisServer = .current, _ configure: (inout LockerConfiguration) -> Void = { _ in }
  ) async throws {
    var configuration = try LockerConfiguration(url: server.url)
    configure(&configuration)
    try await self.init(configuration: configuration)
  }
}

extension RedisServer {
  /// Whether a key exists.
  func hasKey(_ key: String) throws -> Bool { try RedisClient(self)("EXISTS", key).integer == 1 }
}

/// Expects an error of the library with this code.
func expectError<Result>(
  _ code: LockError.Code, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () async throws -> Result
) async {
  do {
    _ = try await body()
    Issue.record("no error where \(code) was expected", sourceLocation: sourceLocation)
  } catch let error as LockError {
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
  } catch {
    Issue.record(error, sourceLocation: sourceLocation)
  }
}
