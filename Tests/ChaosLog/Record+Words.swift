extension Record {
  /// Where the parts of an attempt are in its record, in words of 64 bits.
  public enum Field: Int, Sendable {
    /// The kind of the record, and its owner.
    case head
    /// The properties of the same names.
    case nonce, fence, invoked, deadline, ended, acquired, validUntil, lastHeld, releaseCalled
    /// The properties of the same names.
    case released, lost, loss, outcome, guarded, twin
  }

  /// The number of words of a record.
  static let wordCount = 16

  /// The first word of the record.
  var head: UInt64 {
    UInt64(UInt32(bitPattern: process)) << 32 | UInt64(UInt16(task)) << 16 | UInt64(UInt8(key)) << 8
      | (isOneOfTwo ? 4 : 0) | (waits ? 2 : 0) | 1
  }

  /// Reads a record; nil if it is not an attempt.
  init?(slot: Int, words: [UInt64]) {
    let head = words[Field.head.rawValue]
    guard head & 1 == 1 else { return nil }
    self.slot = slot
    process = Int32(bitPattern: UInt32(head >> 32))
    task = Int(UInt16(truncatingIfNeeded: head >> 16))
    key = Int(UInt8(truncatingIfNeeded: head >> 8))
    isOneOfTwo = head & 4 != 0
    waits = head & 2 != 0
    func word(_ field: Field) -> UInt64 { words[field.rawValue] }
    nonce = word(.nonce)
    fence = word(.fence)
    invoked = word(.invoked)
    deadline = word(.deadline)
    ended = word(.ended)
    acquired = word(.acquired)
    validUntil = word(.validUntil)
    lastHeld = word(.lastHeld)
    releaseCalled = word(.releaseCalled)
    released = word(.released)
    lost = word(.lost)
    loss = Loss(rawValue: word(.loss)) ?? .none
    outcome = Outcome(rawValue: word(.outcome)) ?? .open
    guarded = Write(rawValue: word(.guarded)) ?? .none
    twin = Write(rawValue: word(.twin)) ?? .none
  }
}
