internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Makes the tokens of one locker.
package final class TokenSource: Sendable {
  /// The random identity that all its tokens share.
  package let lockerID: String
  let randomness: Randomness
  private let processID: Int32
  private let id: UInt64
  private let host: String
  private let notifyingPrefix: String
  private let silentPrefix: String
  private let sequence = Atomic<UInt64>(0)
  private let isSilent = Atomic<Bool>(false)

  package convenience init(label: String?) { self.init(label: label, of: HostMachine()) }

  init(label: String?, of machine: any Machine) {
    randomness = machine.randomness
    processID = machine.processID
    id = randomness.next()
    lockerID = LockToken.hexadecimal(id)
    host = Self.hostName
    notifyingPrefix = LockToken.prefix(
      notifiesWaiters: true, host: host, processID: processID, label: label, lockerID: id)
    silentPrefix = LockToken.prefix(
      notifiesWaiters: false, host: host, processID: processID, label: label, lockerID: id)
  }

  /// Makes a token that has never been used, with a label, or with the locker's own if nil.
  ///
  /// `isSilent` tells that the holder of these keys cannot notify waiters, though that of others may.
  package func next(label: String? = nil, isSilent: Bool = false) -> String {
    let number = sequence.add(1, ordering: .relaxed).newValue
    let isSilent = isSilent || self.isSilent.load(ordering: .relaxed)
    let prefix =
      label.map {
        LockToken.prefix(
          notifiesWaiters: !isSilent, host: host, processID: processID, label: $0, lockerID: id)
      } ?? (isSilent ? silentPrefix : notifyingPrefix)
    return LockToken.text(prefix: prefix, sequence: number, nonce: randomness.next())
  }

  /// Notes whether the server lets the holder notify waiters of its release; tokens say so.
  package func noteNotifying(_ notifies: Bool) {
    if isSilent.load(ordering: .relaxed) == notifies {
      isSilent.store(!notifies, ordering: .relaxed)
    }
  }

  private static var hostName: String {
    // The limit of POSIX, and one more for the NUL that a truncated name lacks.
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
