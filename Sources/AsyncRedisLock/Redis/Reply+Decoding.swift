extension Reply {
  /// The reply as a fencing token; nil for a number that no server can have counted to.
  var fencingToken: UInt64? {
    let number: UInt64? =
      switch self {
      case .integer(let number): UInt64(exactly: number)
      case .string(let digits): UInt64(digits)
      default: nil
      }
    return number.flatMap { $0 <= .largestFencingToken ? $0 : nil }
  }

  /// The reply as the first of so many fencing tokens.
  func fencingTokens(_ count: Int) -> Range<UInt64>? {
    guard let first = fencingToken, first + UInt64(count) <= UInt64.largestFencingToken + 1
    else { return nil }
    return first..<first + UInt64(count)
  }
}

extension UInt64 {
  /// Scripts count in floating point, which skips numbers above 2^53; counted in microseconds, that is in the year
  /// 2255.
  package static var largestFencingToken: UInt64 { (1 << 53) - 1 }
}

extension KeyState {
  init(_ holder: String? = nil) {
    self.init(holder: holder.flatMap { $0.isEmpty ? nil : $0 }, remaining: nil)
  }

  /// The longest time to live that a server can count, in milliseconds: about 285,000 years.
  static let longestTTL: Int64 = 1 << 53

  /// Reads a value and a `PTTL`, which is negative for a key that never expires.
  init?(_ fields: ArraySlice<Reply>) {
    guard fields.count == 2, case .string(let value)? = fields.first,
      case .integer(let milliseconds)? = fields.last,
      (-2...Self.longestTTL).contains(milliseconds)
    else { return nil }
    self.init(
      holder: value, remaining: milliseconds < 0 ? nil : .milliseconds(milliseconds),
      isEndless: milliseconds == -1)
  }
}

extension StoreFailure {
  /// A reply that is no fencing token, or one that no server can have counted to.
  static func noFencingToken(_ reply: Reply) -> Self {
    let text =
      switch reply {
      case .integer(let number): String(number)
      case .string(let digits): digits
      default: ""
      }
    guard let number = UInt64(text), number > .largestFencingToken else {
      return .unexpected(reply)
    }
    return .unintelligible(
      "the server sent the fencing token \(number), and its fence counter must not pass 2^53 - 1")
  }

  static func unexpected(_ reply: Reply) -> Self {
    .unintelligible("the server sent an unexpected reply: \("\(reply)".abbreviatedForMessage)")
  }
}
