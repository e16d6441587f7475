extension LockError {
  /// Says to the caller why the store did not do what was asked.
  init(_ failure: StoreFailure, keys: [String], phase: Phase, waited: Duration? = nil) {
    switch failure {
    case .closed:
      self.init(.closed, "the locker is closed", keys: keys, phase: phase, waited: waited)
    case .unreachable(let reason), .unintelligible(let reason):
      self.init(.unreachable, reason, keys: keys, phase: phase, waited: waited)
    case .cancelled:
      // Callers throw CancellationError for this; here only what is not the task's doing arrives.
      self.init(.unreachable, "the call was given up", keys: keys, phase: phase, waited: waited)
    case .refused(let code, let message, let isTransient):
      self.init(
        .refused, "the server refused: \(message)", keys: keys, phase: phase, waited: waited,
        serverCode: code, isRetryable: isTransient)
    }
  }
}
