internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Makes the tokens of one locker.
package final class TokenSource: Sendable {
  private let prefix: String
  private let sequence = Atomic<UInt64>(0)

  package init(label: String?, notifiesWaiters: Bool) {
    prefix = LockToken.prefix(
      notifiesWaiters: notifiesWaiters, host: Self.hostName, processID: getpid(), label: label,
      lockerID: .random(in: .min ... .max))
  }

  /// A token that has never been used.
  package func next() -> String {
    let number = sequence.add(1, ordering: .relaxed).newValue
    return "\(prefix)\(number):\(LockToken.hexadecimal(.random(in: .min ... .max)))"
  }

  private static var hostName: String {
    // The limit of POSIX, and one more for the NUL that a cut name lacks.
    let limit = 256
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: limit) { buffer in
      guard let start = buffer.baseAddress, unsafe gethostname(start, limit - 1) == 0 else {
        return "unknown"
      }
      unsafe buffer[limit - 1] = 0
      let name = unsafe String(cString: start)
      return name.isEmpty ? "unknown" : name
    }
  }
}
