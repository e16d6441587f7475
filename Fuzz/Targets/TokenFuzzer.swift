@testable import AsyncRedisLock

/// Tokens: every token can be written and read back, and foreign values are only shown.
enum TokenFuzzer {
  static func run(_ input: inout FuzzInput) {
    read(input.text)
    make(&input)
  }

  private static func read(_ text: String) {
    let holder = LockHolder(value: text)
    verify(holder.value.utf8.elementsEqual(text.utf8), "a value changes")
    guard let token = LockToken(parsing: text) else {
      verify(holder.host == nil && !holder.notifiesWaiters, "\(holder) of a foreign value")
      verify(holder.description.utf8.count < 1024, "a long description")
      verify(!holder.description.hasControlCharacters, "control characters: \(holder)")
      return
    }
    verify(holder.host == token.host && holder.label == token.label, "\(holder)")
    guard let id = UInt64(token.lockerID, radix: 16), token.host.utf8.count <= 64 else {
      verify(token.host.utf8.count > 64, "\(token.lockerID) is no id")
      return
    }
    let prefix = LockToken.prefix(
      notifiesWaiters: token.notifiesWaiters, host: token.host, processID: token.processID,
      label: token.label, lockerID: id)
    let written = "\(prefix)\(token.sequence):\(token.nonce)"
    verify(LockToken(parsing: written) == token, "\(text) comes back as \(written)")
  }

  private static func make(_ input: inout FuzzInput) {
    let (id, sequence, process) = (
      input.number(), input.number(), Int32(truncatingIfNeeded: input.number())
    )
    let (notifies, host, label) = (input.byte() & 1 == 0, input.shortText(), input.shortText())
    guard !host.isEmpty, label.utf8.count <= 64 else { return }
    // Labels with control characters are refused, and no host's name has any.
    guard !host.hasControlCharacters, !label.hasControlCharacters else { return }
    let prefix = LockToken.prefix(
      notifiesWaiters: notifies, host: host, processID: process,
      label: label.isEmpty ? nil : label, lockerID: id)
    let text = "\(prefix)\(sequence):\(LockToken.hexadecimal(id ^ sequence))"
    verify(text.utf8.count <= LockToken.maximumLength, "a token of \(text.utf8.count) bytes")
    guard let token = LockToken(parsing: text) else { return verify(false, "\(text) is no token") }
    verify(token.notifiesWaiters == notifies && token.processID == process, text)
    verify(token.sequence == sequence && (token.label ?? "").utf8.elementsEqual(label.utf8), text)
    verify(UInt64(token.lockerID, radix: 16) == id, text)
    verify(host.utf8.starts(with: token.host.utf8), text)
    verify(host.utf8.count > 64 || host.utf8.count == token.host.utf8.count, text)
  }
}
