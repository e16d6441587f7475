/// The hash slots of a cluster, by the rules of its specification.
package enum HashSlot {
  package static let count = 16384

  /// The slot of a key.
  package static func slot(of key: String) -> Int {
    let bytes = key.utf8
    let sum: UInt16? = unsafe bytes.withContiguousStorageIfAvailable { bytes in
      unsafe checksum(of: bytes[hashedRange(of: bytes)])
    }
    // Only strings from Objective-C are not in one piece.
    guard let sum else {
      let bytes = Array(bytes)
      return Int(checksum(of: bytes[hashedRange(of: bytes)])) % count
    }
    return Int(sum) % count
  }

  /// Whether a part of a key decides its slot.
  static func hasHashTag(_ bytes: some Collection<UInt8>) -> Bool {
    hashTag(of: bytes) != nil
  }

  /// The part of a key that decides its slot, if that is not all of it: the text between the first `{` and the next
  /// `}`, unless it is empty.
  private static func hashTag<Bytes: Collection<UInt8>>(
    of bytes: Bytes
  ) -> Range<Bytes.Index>? {
    guard let open = bytes.firstIndex(of: UInt8(ascii: "{")) else { return nil }
    let start = bytes.index(after: open)
    guard let close = bytes[start...].firstIndex(of: UInt8(ascii: "}")), close > start else {
      return nil
    }
    return start..<close
  }

  private static func hashedRange<Bytes: Collection<UInt8>>(
    of bytes: Bytes
  ) -> Range<Bytes.Index> { hashTag(of: bytes) ?? bytes.startIndex..<bytes.endIndex }

  /// A text in braces, without braces in it, that puts any key which begins with it into a slot: the smallest decimal
  /// number that hashes to the slot.
  static func tag(of slot: Int) -> String { "{\(numbers[slot])}" }

  /// The smallest number of each slot; the largest of them is 109757.
  private static let numbers: [UInt32] = {
    var numbers = [UInt32?](repeating: nil, count: count)
    var (left, number) = (count, UInt32(0))
    while left > 0 {
      let slot = Int(checksum(of: "\(number)".utf8)) % count
      if numbers[slot] == nil {
        numbers[slot] = number
        left -= 1
      }
      number += 1
    }
    return numbers.compactMap(\.self)
  }()

  /// CRC-16 of XMODEM.
  private static func checksum(of bytes: some Sequence<UInt8>) -> UInt16 {
    var sum: UInt16 = 0
    for byte in bytes { sum = sum << 8 ^ table[Int(UInt8(truncatingIfNeeded: sum >> 8) ^ byte)] }
    return sum
  }

  private static let table: [UInt16] = (0..<256).map { byte in
    (0..<8).reduce(UInt16(byte) << 8) { sum, _ in
      sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021
    }
  }
}
