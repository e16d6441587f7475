import AsyncRedisLock

/// The outcome of a call, and how long it took.
struct Attempt<Value: Sendable>: Sendable {
  let result: Result<Value, any Error>
  let duration: Duration

  /// Makes the call.
  init(_ call: () async throws -> Value) async {
    let start = ContinuousClock.now
    do {
      result = .success(try await call())
    } catch {
      result = .failure(error)
    }
    duration = start.duration(to: .now)
  }

  /// The value that the call returned; nil if it threw.
  var value: Value? { try? result.get() }

  /// The library's error; nil if the call returned or threw any other error.
  var error: LockError? {
    if case .failure(let error) = result { error as? LockError } else { nil }
  }
}

extension Locker {
  /// Connects with the configuration of a URL and some changes.
  ///
  /// - Throws: The same errors as the other initializers.
  convenience init(
    url: String, _ change: (inout LockerConfiguration) -> Void
  ) async throws {
    var configuration = try LockerConfiguration(url: url)
    change(&configuration)
    try await self.init(configuration: configuration)
  }
}

extension Duration {
  /// How long a call bounded by some hundred milliseconds may take, on a machine busy with all the other tests.
  static let inTime = Duration.seconds(4)
}
