extension LockError {
  /// Tells the caller why the store did not do what the call asked for.
  init(_ failure: StoreFailure, keys: [String], phase: Phase, waited: Duration? = nil) {
    switch failure {
    case .closed:
      self.init(.closed, "the locker is closed", keys: keys, phase: phase, waited: waited)
    case .unreachable(let reason), .unintelligible(let reason):
      self.init(.unreachable, reason, keys: keys, phase: phase, waited: waited)
    case .unknown(let reason):
      self.init(
        .unreachable, reason, keys: keys, phase: phase, waited: waited, isRetryable: false)
    case .tlsFailed(let reason):
      self.init(.tlsFailed, reason, keys: keys, phase: phase, waited: waited)
    case .cancelled:
      // Callers turn this into CancellationError; a failure that arrives here is not the task's own cancellation.
      self.init(.unreachable, "the call was given up", keys: keys, phase: phase, waited: waited)
    case .severalSlots(let reason):
      // As a node of a cluster says itself.
      self.init(
        .refused, reason, keys: keys, phase: phase, waited: waited, serverCode: "CROSSSLOT",
        isRetryable: false)
    case .notAcknowledged(let reason):
      // As a server that has too few replicas says itself.
      self.init(
        .refused, reason, keys: keys, phase: phase, waited: waited, serverCode: "NOREPLICAS",
        isRetryable: phase != .adopt)
    case .refused(let code, let message, let isTransient):
      self.init(
        .refused, "the server refused: \(message)", keys: keys, phase: phase, waited: waited,
        serverCode: code, isRetryable: isTransient)
    }
  }
}
