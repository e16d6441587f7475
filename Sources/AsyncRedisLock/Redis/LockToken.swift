/// The value that a lock's key holds: unique per acquisition, and readable in `redis-cli`.
///
/// `mark:host:pid:label:locker:sequence:nonce`, for example
/// `rl1s:web-1:4711:billing:9f86d081884c7d65:42:3ad77bb40d7a3660`. The mark names the version of this grammar, and
/// says whether the holder notifies waiters (`rl1n`) or must be polled (`rl1s`).
///
/// Host and label are percent-encoded, except for ASCII letters, digits, `.`, `_` and `-`; the label may be empty.
/// The locker's id and the nonce are both 16 random hexadecimal digits, so a token has 128 random bits. If a
/// process is copied while it runs, with its virtual machine, it still draws its own nonces.
struct LockToken: Sendable, Equatable {
  let notifiesWaiters: Bool
  let host: String
  let processID: Int32
  let label: String?
  let lockerID: String
  let sequence: UInt64
  let nonce: String

  /// The longest possible token, in bytes: 64 of host and of label, each as three in the encoding, and the rest.
  static let maximumLength = 512

  private enum Mark {
    static let notifying = "rl1n"
    static let silent = "rl1s"
  }

  /// Parses the value of a key; nil if this library has not made it.
  init?(parsing value: String) {
    let fields = value.split(separator: ":", omittingEmptySubsequences: false)
    guard fields.count == 7, fields[0] == Mark.notifying || fields[0] == Mark.silent,
      let host = Self.decode(fields[1]), !host.isEmpty,
      let processID = Int32(fields[2]), let label = Self.decode(fields[3]),
      // Tokens of this library have none, so code that shows a holder need not expect them.
      !host.hasControlCharacters, !label.hasControlCharacters,
      Self.isID(fields[4]), let sequence = UInt64(fields[5]), Self.isID(fields[6])
    else { return nil }
    notifiesWaiters = fields[0] == Mark.notifying
    self.host = host
    self.processID = processID
    self.label = label.isEmpty ? nil : label
    lockerID = String(fields[4])
    self.sequence = sequence
    nonce = String(fields[6])
  }

  /// The prefix that all tokens of a locker share, up to the sequence number.
  static func prefix(
    notifiesWaiters: Bool, host: String, processID: Int32, label: String?, lockerID: UInt64
  ) -> String {
    let mark = notifiesWaiters ? Mark.notifying : Mark.silent
    // A scalar has at most four bytes.
    let host = host.utf8.count <= 64 ? host : String(host.unicodeScalars.prefix(16))
    let fields = [
      mark, encode(host), String(processID), encode(label ?? ""), hexadecimal(lockerID),
    ]
    return fields.joined(separator: ":") + ":"
  }

  /// Makes a token with a single allocation.
  static func text(prefix: String, sequence: UInt64, nonce: UInt64) -> String {
    var digits = 1
    var rest = sequence / 10
    while rest > 0 { (digits, rest) = (digits + 1, rest / 10) }
    let length = prefix.utf8.count + digits + 17
    return unsafe String(unsafeUninitializedCapacity: length) { buffer in
      var place = length
      func prepend(_ byte: UInt8) {
        place -= 1
        unsafe buffer.initializeElement(at: place, to: byte)
      }
      for shift in stride(from: 0, to: 64, by: 4) {
        let digit = UInt8(nonce >> UInt64(shift) & 15)
        prepend(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
      }
      prepend(UInt8(ascii: ":"))
      rest = sequence
      for _ in 0..<digits {
        prepend(UInt8(ascii: "0") + UInt8(rest % 10))
        rest /= 10
      }
      _ = unsafe buffer.initialize(fromContentsOf: prefix.utf8)
      return length
    }
  }

  /// 16 hexadecimal digits.
  static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private static func isID(_ field: Substring) -> Bool {
    field.utf8.count == 16 && field.utf8.allSatisfy { isDigit($0) || (0x61...0x66).contains($0) }
  }

  private static func encode(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
      if isPlain(byte) {
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        encoded += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
      }
    }
    return encoded
  }

  private static func decode(_ field: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = field.utf8
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        guard let digits = String(rest.prefix(2)), digits.utf8.count == 2,
          let value = UInt8(digits, radix: 16)
        else { return nil }
        bytes.append(value)
        rest.removeFirst(2)
      } else {
        guard isPlain(byte) else { return nil }
        bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
      || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
