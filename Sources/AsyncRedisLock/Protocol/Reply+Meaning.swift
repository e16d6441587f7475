extension Reply {
  /// The reply as a fencing token; a counter that is used up would be one without a next.
  var fencingToken: UInt64? {
    let number: UInt64? =
      switch self {
      case .integer(let number): UInt64(exactly: number)
      case .string(let digits): UInt64(digits)
      default: nil
      }
    return number == .max ? nil : number
  }

  /// The reply as the first of so many fencing tokens.
  func fencingTokens(_ count: Int) -> Range<UInt64>? {
    guard let first = fencingToken, first < UInt64.max - UInt64(count) else { return nil }
    return first..<first + UInt64(count)
  }
}

extension KeyState {
  init(_ holder: String? = nil) {
    self.init(holder: holder.flatMap { $0.isEmpty ? nil : $0 }, remaining: nil)
  }

  /// Reads a value and a `PTTL`, which is negative for a key that never expires.
  init?(_ fields: ArraySlice<Reply>) {
    guard fields.count == 2, case .string(let value)? = fields.first,
      case .integer(let milliseconds)? = fields.last
    else { return nil }
    self.init(
      holder: value, remaining: milliseconds < 0 ? nil : .milliseconds(milliseconds))
  }
}

extension StoreFailure {
  static func unexpected(_ reply: Reply) -> Self {
    .unintelligible("the server sent an unexpected reply: \("\(reply)".abbreviatedForMessage)")
  }
}
