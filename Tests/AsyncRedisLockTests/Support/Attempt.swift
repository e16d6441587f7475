import AsyncRedisLock

/// How a call ended, and how long it took.
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

  /// What the call returned; nil when it threw.
  var value: Value? { try? result.get() }

  /// The library's error; nil when the call returned, or threw anything else.
  var error: LockError? {
    if case .failure(let error) = result { error as? LockError } else { nil }
  }
}

extension Locker {
  /// Connects with what a URL says and some changes.
  ///
  /// - Throws: As the other initializers.
  convenience init(
    url: String, _ change: (inout LockerConfiguration) -> Void
  ) async throws {
    var configuration = try LockerConfiguration(url: url)
    change(&configuration)
    try await self.init(configuration: configuration)
  }
}

extension Duration {
  /// What a call may take that is bounded by some hundred milliseconds, on a machine that is busy with
  /// all the other tests.
  static let inTime = Duration.seconds(4)
}
