extension Lease {
  /// Why the lease is lost, as the end of a sentence; nil if it is not.
  var lossExplanation: String? {
    switch lossReason {
    case nil: nil
    case .deleted?:
      "the server says that \(claim.keys.count > 1 ? "one of its keys" : "its key") was deleted"
    case .takenByAnother?: "the server says that \(newHolderName) has it"
    case .heldTooLong?: "it was held for as long as maxHold allows"
    default: expiryExplanation
    }
  }

  private var newHolderName: String {
    newHolder?.name(seenBy: LockHolder(value: claim.token).lockerID) ?? "another holder"
  }

  private var expiryExplanation: String {
    if let delay { return "this process did not run for \(delay.roundedForMessage)" }
    guard state.extend != nil else { return "its validity ended, and it is not extended" }
    return trouble.map { "it could not be extended in time: \($0)" }
      ?? "its validity ended without a confirmed extension"
  }
}
