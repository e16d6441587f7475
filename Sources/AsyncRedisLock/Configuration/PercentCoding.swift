extension ArraySlice<UInt8> {
  /// The text with its percent escapes decoded once; `part` names it in messages.
  func percentDecoded(as part: String) throws(LockError) -> String {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(count)
    var rest = self
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        decoded.append(byte)
        continue
      }
      guard let high = rest.popFirst()?.hexDigitValue, let low = rest.popFirst()?.hexDigitValue
      else {
        throw LockError(
          .invalidURL, "\(part) has a % that is not followed by two hex digits; a % is written %25")
      }
      decoded.append(high << 4 | low)
    }
    guard let text = String(validating: decoded, as: UTF8.self) else {
      throw LockError(.invalidURL, "\(part) must be UTF-8 once its percent escapes are decoded")
    }
    return text
  }
}

extension Int {
  /// Creates a number from decimal digits alone; a number that is too large becomes `Int.max`.
  init?(digits: some Collection<UInt8>) {
    guard !digits.isEmpty, digits.allSatisfy(\.isASCIIDigit) else { return nil }
    self = Int(String(decoding: digits, as: UTF8.self)) ?? .max
  }
}

extension UInt8 {
  var isASCIIDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

  var isASCIILetterOrDigit: Bool {
    isASCIIDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20)
  }

  var hexDigitValue: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
